"""What tells runs apart in a legend, and the runs under these names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from limitcycle.errors import UserError
from limitcycle.reading.data import Recorded
from limitcycle.reading.history import History, history_of


def histories(runs: Sequence[Recorded]) -> list[History]:
    """One history a run, in the order given.

    Raises:
        UserError: there is no run.
    """
    if not runs:
        raise UserError("there is no run to show: give a run folder, or a folder of run folders")
    return [history_of(run, label) for run, label in zip(runs, labels(runs), strict=True)]


class Named(Protocol):
    """What has a name and, if the lab made it, a description."""

    @property
    def name(self) -> str:
        """The folder's name."""

    @property
    def run(self) -> Any:
        """The description, or None."""


def labels(runs: Sequence[Named]) -> list[str]:
    """What tells the runs apart: the settings that differ, or the names where those do not."""
    if any(run.run is None for run in runs):
        return [run.name for run in runs]
    settings = [asdict(run.run) for run in runs]
    if len(runs) == 1:
        return [_phrase("lr", settings[0]["lr"])]
    differing = [name for name in settings[0] if _differs(name, settings)]
    short = [name for name in differing if name not in ("steps", "epochs", "eval_every")]
    for names in (short, differing):
        phrases = [[_phrase(name, each[name]) for name in names] for each in settings]
        found = [", ".join(filter(None, each)) for each in phrases]
        if len(names) <= 3 and all(found) and len(set(found)) == len(found):
            return found
    return [run.name for run in runs]


def _differs(name: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    return any(each[name] != settings[0][name] for each in settings)


def _phrase(setting: str, value: Any) -> str:
    """A setting and its value in the field's words."""
    if setting == "batch_size":
        return "full batch" if value is None else f"batch {value}"
    words = {"lr": "η", "weight_decay": "λ"}.get(setting, setting.replace("_", " "))
    return f"{words} = {value:g}" if isinstance(value, float) else f"{words} {value}"
