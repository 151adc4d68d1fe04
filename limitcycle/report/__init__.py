"""Records become pictures and one self-contained page; nothing here trains.

A figure is data (`limitcycle.report.figure`), built from runs (`panels`, `period`) and painted by
two painters: `paint` for PNG and SVG, `web` for the page.
"""

from limitcycle.report.map_files import check_map_picture, save_map, write_map_page
from limitcycle.report.page import write_report
from limitcycle.report.pictures import save_pictures
from limitcycle.report.summary import Summary, summarise

__all__ = [
    "Summary",
    "check_map_picture",
    "save_map",
    "save_pictures",
    "summarise",
    "write_map_page",
    "write_report",
]
