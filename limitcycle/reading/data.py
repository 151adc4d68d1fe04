"""What a reading is made of: the tables of a run, and all that is known of it besides.

A table, a recorded run, a folder and a running watch come in as `RunData`, and as nothing else.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading import constants as c
from limitcycle.reading.decayed import without
from limitcycle.reading.optimizers import UpdateRule, update_rule
from limitcycle.reading.series import Setting
from limitcycle.record import load
from limitcycle.record.run import CLASSES


@dataclass(frozen=True)
class RunData:
    """Tables and settings of a run.

    Attributes:
        steps: the step table, or any other with ``step``, ``loss`` and ``norm``; see `diagnose`.
        groups: the group table of a watched run; empty where there is none.
        lr, weight_decay, momentum: one number, or one a row; None takes the column of that name.
        stuck_above: a run whose loss never came below it is stuck; None: see `diagnose`.
        status: ``"failed"`` or the content of ``status.json``, where the run's end is known.
        train_size, batch_size: images of the training set and of a batch; None: not known.
        described: it is known whether there was momentum; where it is not, none is assumed.
        net: of a run of the lab; ``convnet`` of a watched one with convolutions; ``per-sample``
            where LayerNorm or the like normalises; empty: not known.
        rule: how the optimizer's update depends on gradient and weights; None: not known.
        dtypes: how many of the measured weights have which type; empty: not known.
        notes: what could not be measured, and why.
        unjudged: why the norm says nothing of this run; the label is *unknown* then.
    """

    steps: Any
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)
    lr: Setting = None
    weight_decay: Setting = None
    momentum: Setting = None
    stuck_above: float | None = None
    status: str | Mapping[str, Any] | None = None
    train_size: int | None = None
    batch_size: int | None = None
    described: bool = False
    net: str = ""
    rule: UpdateRule | None = None
    dtypes: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unjudged: str = ""


@runtime_checkable
class Readable(Protocol):
    """What knows its own tables and settings: a running watch, for example."""

    def run_data(self) -> RunData:
        """All that is known of the run so far."""


@runtime_checkable
class Recorded(Protocol):
    """A loaded run, as `limitcycle.load` returns it; ``run`` is None for somebody's bare table."""

    @property
    def name(self) -> str:
        """The folder's name; any text."""

    @property
    def run(self) -> Any:
        """The description."""

    @property
    def info(self) -> Mapping[str, Any]:
        """Versions, device, threads and the like."""

    @property
    def status(self) -> Mapping[str, Any]:
        """``state`` and ``reason``."""

    @property
    def steps(self) -> pd.DataFrame:
        """The step table; may be empty."""

    @property
    def epochs(self) -> pd.DataFrame:
        """The epoch table; may be empty."""


def opened(what: Any) -> Any:
    """The run in a folder, where ``what`` is the path of one; else ``what`` itself.

    Raises:
        UserError: there is no run in the folder, or it is a file.
    """
    if not isinstance(what, str | Path):
        return what
    if Path(what).is_file():
        raise UserError(f"{what} is a file: read it into a table, or `limitcycle diagnose` it")
    return load(what)


def data_of(what: Any) -> RunData:
    """``what`` as tables and settings.

    Args:
        what: a table, a loaded run, or anything `Readable`.

    Raises:
        UserError: a recorded table has no steps, or it is not said how it was watched.
    """
    if isinstance(what, RunData):
        return what
    if isinstance(what, pd.DataFrame | Mapping):  # a frame's columns are attributes, too
        return RunData(what)
    if isinstance(what, Readable):
        return what.run_data()
    if isinstance(what, Recorded):
        return _recorded(what)
    return RunData(what)


def _recorded(run: Recorded) -> RunData:
    """A recorded run; the epoch table stands in for a step table without rows."""
    described, watched, table = run.run, run.info.get("watched"), _measured(run)
    groups = without(getattr(run, "groups", pd.DataFrame()), watched)
    if isinstance(watched, Mapping) and (since := watched.get("joint_since")):
        # Groups joined later: the norm before is another one.
        table = table[table["step"] >= since]
        groups = groups[groups["step"] >= since] if len(groups) else groups
    size = getattr(described, "batch_size", None)
    return RunData(
        steps=table,
        groups=groups,
        lr=None if "lr" in table else getattr(described, "lr", None),
        weight_decay=None if "weight_decay" in table else getattr(described, "weight_decay", None),
        momentum=getattr(described, "momentum", None),
        stuck_above=_high(described),
        status=dict(run.status),
        train_size=run.info.get("train_size"),
        batch_size=size if isinstance(size, int) else None,
        described=described is not None or watched is not None,
        **{
            "net": _net(described),
            **(_watched(watched) if isinstance(watched, Mapping) else {}),
        },
    )


def _net(described: Any) -> str:
    """What kind of net a run of the lab has, by what tells how regularly it jumps."""
    norm = getattr(described, "norm", "batch")
    if norm in ("group", "layer"):
        return "per-sample"
    return "unnormalised" if norm == "none" else str(getattr(described, "net", ""))


def _high(described: Any) -> float | None:
    """The loss above which a run of the lab is stuck: zero is in reach of its classifiers."""
    whole = CLASSES.get(getattr(described, "data", ""))
    classes = getattr(described, "classes", None) or whole
    return None if classes is None else c.STUCK_SHARE * math.log(classes)


def _measured(run: Recorded) -> pd.DataFrame:
    """The table to judge by; what a run did not measure is missing in it, not wrong."""
    table = run.epochs if run.steps.empty else run.steps
    if table.empty:
        return pd.DataFrame({name: np.empty(0) for name in ("step", "loss", "norm")})
    if "step" not in table:
        raise UserError(f"the table of run {run.name!r} has no column 'step'")
    lacking = [name for name in ("loss", "norm") if name not in table]
    if "train_loss" in table:
        lacking = [name for name in lacking if name != "loss"]
    return table.assign(**dict.fromkeys(lacking, np.nan)) if lacking else table


def _watched(info: Mapping[str, Any]) -> dict[str, Any]:
    """What the folder of a watched run says of its optimizer and weights.

    Folders of earlier versions name the optimizer and its settings only.
    """
    try:
        if "update_rule" in info:
            rule = UpdateRule.from_dict(info["update_rule"])
        else:
            rule = update_rule([str(info["optimizer"])], list(info.get("settings", [])))
        dtypes = {str(name): int(count) for name, count in info.get("dtypes", {}).items()}
        notes = tuple(map(str, info.get("notes", ())))
        unjudged = str(info.get("unjudged", ""))
        net = str(info.get("net", ""))
        return {"rule": rule, "dtypes": dtypes, "notes": notes, "unjudged": unjudged, "net": net}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            "run.json does not say how the run was watched ('watched' is damaged): restore it"
        ) from None
