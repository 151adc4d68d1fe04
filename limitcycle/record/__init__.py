"""The one format that the lab and the watcher write: description, folder, tables, checkpoints.

Nothing here knows torch: a checkpoint is a dictionary of NumPy arrays, a table a pandas frame, so
that anybody can open a run with the tools they have.
"""

from limitcycle.record.folder import RunFolder
from limitcycle.record.loaded import LoadedRun, load, load_all
from limitcycle.record.run import Run
from limitcycle.record.schema import EPOCH_COLUMNS, FORMAT_VERSION, GROUP_COLUMNS, STEP_COLUMNS
from limitcycle.record.watched import WatchedFolder

__all__ = [
    "EPOCH_COLUMNS",
    "FORMAT_VERSION",
    "GROUP_COLUMNS",
    "STEP_COLUMNS",
    "LoadedRun",
    "Run",
    "RunFolder",
    "WatchedFolder",
    "load",
    "load_all",
]
