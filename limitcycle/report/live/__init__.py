"""A run seen while it is trained: the page of the report, updating, served to this machine alone.

- `bins` keep a growing table small: in every stretch of time its extremes and its means;
- `followed` is a run whose folder is being written, read part by part as parts come;
- `board` holds all runs below a folder, and what the page is told of each;
- `guard` says who may ask, `app` what is answered, `serve` is the door.

The training knows of none of it: its folder is read, nothing is written there, nothing locked.
"""

from limitcycle.report.live.serve import serve

__all__ = ["serve"]
