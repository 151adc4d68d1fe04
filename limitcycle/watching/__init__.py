"""Attach to somebody else's training run: measure it, say what it does, change nothing.

- `watch` is what the user holds, `hooks` where it is attached, `refused` what cannot be;
- `attribution` says which step it belongs to what a script says;
- `subject` is what is measured while model and optimizer change: `first_call` finds the symmetries,
  `declared` takes them from the user, `groups` says what belongs together;
- `buffer` keeps what steps leave on the device, `table` makes rows of it (`newest` the last one by
  itself), `memory` holds them, with `rises` and `thinning` to say which of many, `sinks` write
  them, `loggers` for those who use one; `notice` is how the watch speaks.
"""

from limitcycle.watching.loggers import MLflow, TensorBoard, WandB
from limitcycle.watching.sinks import Logger, Parquet, Sink
from limitcycle.watching.watch import Watch, watch

__all__ = [
    "Logger",
    "MLflow",
    "Parquet",
    "Sink",
    "TensorBoard",
    "WandB",
    "Watch",
    "watch",
]
