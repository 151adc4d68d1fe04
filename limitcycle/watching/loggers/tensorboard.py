"""TensorBoard: curves as scalars, settings, symmetries and diagnosis as text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading import Diagnosis, Forecast
from limitcycle.symmetry import Symmetries
from limitcycle.watching.loggers import curves
from limitcycle.watching.loggers.curves import GROUP_CURVES, Curves

FLUSH = 30  # seconds
SUFFIX = ".limitcycle"
"""Of the event files written here."""


class TensorBoard:
    """Writes what is measured into TensorBoard's event files.

    ::

        writer = SummaryWriter("runs/mine")
        with lc.watch(model, optimizer, sink=TensorBoard(writer)) as w:
            ...

    Args:
        writer: a `torch.utils.tensorboard.SummaryWriter` or whatever has its ``add_scalar``,
            ``add_text`` and ``flush``; or a folder, into which a writer of its own writes.
        groups: columns of the group table that become curves, one a group.
        every: steps between the rows of the step table that are written.

    Raises:
        UserError: ``tensorboard`` is not installed, or ``writer`` is something else.
    """

    def __init__(
        self, writer: Any, *, groups: Sequence[str] = GROUP_CURVES, every: int = 1
    ) -> None:
        self._curves = Curves(groups, every)
        self._folder = Path(writer) if isinstance(writer, str | Path) else None
        if self._folder is not None:
            needed_writer()
        elif not hasattr(writer, "add_scalar"):
            kind = type(writer).__name__
            raise UserError(f"TensorBoard takes a SummaryWriter or a folder, not {kind}")
        self._writer: Any = None if self._folder is not None else writer

    def begin(self, info: Mapping[str, Any], symmetries: Symmetries, step: int) -> None:
        """Open the folder, and say what is watched."""
        if self._folder is not None:
            self._writer = _open(self._folder, step)
        rows = curves.settings(info, symmetries).items()
        table = ["| setting | value |", "| --- | --- |", *(f"| {n} | {v} |" for n, v in rows)]
        self._writer.add_text("limitcycle/settings", "\n".join(table), step)
        self._writer.add_text(curves.SYMMETRIES, f"```\n{symmetries}\n```", step)

    def __call__(self, steps: pd.DataFrame, groups: pd.DataFrame) -> None:
        """Write rows."""
        for step, values in self._curves.of(steps, groups):
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def foretell(self, step: int, forecast: Forecast) -> None:
        """Write when the next jump comes, in steps from here on."""
        for name, value in curves.foretold(forecast).items():
            self._writer.add_scalar(name, value, step)

    def close(self, state: str, step: int, reason: str, diagnosis: Diagnosis | None) -> None:
        """Write the diagnosis and flush; close a writer of its own."""
        if self._writer is None:
            return
        self._writer.add_text(curves.STATUS, f"{state} {reason}".strip(), step)
        if diagnosis is not None:
            self._writer.add_text(curves.DIAGNOSIS, str(diagnosis), step)
        self._writer.flush()
        if self._folder is not None:
            self._writer.close()
            self._writer = None


def needed_writer() -> Any:
    """PyTorch's writer.

    Raises:
        UserError: ``tensorboard`` is not installed.
    """
    return curves.needed("tensorboard", "torch.utils.tensorboard").SummaryWriter


def _open(folder: Path, step: int) -> Any:
    """A writer; of a job that goes on, TensorBoard then hides what it wrote from ``step`` on.

    That hides everything in the folder, so it is not done where somebody else writes there, too.
    """
    alone = all(path.name.endswith(SUFFIX) for path in folder.glob("*tfevents*"))
    return needed_writer()(
        str(folder),
        purge_step=step if step and alone else None,
        flush_secs=FLUSH,
        filename_suffix=SUFFIX,
    )
