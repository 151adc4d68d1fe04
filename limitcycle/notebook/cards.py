"""How objects look in a notebook: one line, a small picture, the advice."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.notebook.picture import JUMP, Array, Curve, picture
from limitcycle.reading import Diagnosis, Readable, Recorded, diagnose
from limitcycle.reading.history import rate_by_numbers

if TYPE_CHECKING:
    from limitcycle.symmetry import Symmetries

LOSS, RATE, NORM = "#0072B2", "#D55E00", "#009E73"
KINDS = {
    "scale-invariant": "#0072B2",
    "rescaling": "#56B4E9",
    "mixed": "#E69F00",
    "dead": "#7F7F7F",
    "not invariant": "#CC79A7",
    "frozen": "#BBBBBB",
}


def run_card(run: Recorded) -> str:
    """A recorded run: what it did, loss, effective learning rate and norm, the advice."""
    try:
        found, table = diagnose(run), run.steps
    except UserError as problem:  # a cell that shows a damaged run says so
        return card(f"run {run.name}", str(problem))
    return card(f"run {run.name}: {found.headline}", _drawn(table, found), _advice(found))


def watch_card(watch: Readable, steps: int) -> str:
    """A watch: as a run."""
    title = f"watch, step {steps:,}"
    try:
        data = watch.run_data()
        found = diagnose(data)
    except Exception as problem:  # of a training that is only watched, and goes on
        return card(title, escape(f"cannot be shown: {problem}"))
    return card(f"{title}: {found.headline}", _drawn(data.steps, found), _advice(found))


def diagnosis_card(found: Diagnosis) -> str:
    """A diagnosis: its headline, the norm as the jumps left it, its words."""
    first, *lines = str(found).splitlines()
    words = "".join(f"<div>{escape(line)}</div>" for line in lines)
    return card(first, _saw(found.events), words)


def symmetries_card(found: "Symmetries") -> str:
    """Symmetries: how many tensors are of which kind, as a bar, and the table."""
    counts: dict[str, int] = {}
    for group in found.groups:
        counts[group.kind] = counts.get(group.kind, 0) + len(group.names)
    counts |= {"not invariant": len(found.not_invariant), "frozen": len(found.frozen)}
    counts = {kind: count for kind, count in counts.items() if count}
    title = f"{counts.get('scale-invariant', 0)} of {sum(counts.values())} tensors scale-invariant"
    table = f"<details><summary>all</summary><pre>{escape(str(found))}</pre></details>"
    return card(title, _bar(counts), table)


def card(title: str, *parts: str) -> str:
    """HTML of a headline and what stands below it; colours are those of the notebook."""
    inner = "".join(f'<div style="margin-top:6px">{part}</div>' for part in parts if part)
    return (
        '<div class="limitcycle" style="max-width:44em;line-height:1.4">'
        f"<b>{escape(title)}</b>{inner}</div>"
    )


def _advice(found: Diagnosis) -> str:
    code = f"<pre>{escape(found.advice.code)}</pre>" if found.advice.code else ""
    return f"{escape(found.advice.text)}{code}"


def _drawn(table: Any, found: Diagnosis) -> str:
    """The curves of a step table."""
    frame = pd.DataFrame(table)
    if "step" not in frame or frame.empty:
        return ""
    frame = frame.sort_values("step")
    curves = [
        Curve("loss", _series(frame, "loss"), LOSS),
        Curve(_rate_of(frame), _series(frame, "effective_lr"), RATE),
        Curve("norm ρ", _series(frame, "norm"), NORM),
    ]
    jumps = found.events["start"].to_list() if len(found.events) else []
    return picture(_series(frame, "step"), curves, jumps)


def _series(frame: pd.DataFrame, name: str) -> Array:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(np.float64, na_value=np.nan)


def _rate_of(frame: pd.DataFrame) -> str:
    """What the effective learning rate is there: η/ρ², or η/ρ of Adam-type optimizers."""
    known = {"lr", "norm", "effective_lr"} <= set(frame.columns)
    return (rate_by_numbers(frame) if known else "") or "effective η"


def _saw(events: pd.DataFrame) -> str:
    """The norm at its minima and maxima around the jumps."""
    if len(events) < 2:
        return ""
    steps = events[["turn", "top"]].to_numpy(np.float64).ravel()
    norm = events[["norm_turn", "norm_top"]].to_numpy(np.float64).ravel()
    return picture(steps, [Curve("norm ρ", norm, NORM)], events["start"].to_list()[1:])


def _bar(counts: Mapping[str, int]) -> str:
    """Shares of a whole, side by side, each with its name and number."""
    pieces: Sequence[str] = [
        f'<span style="flex:{count};background:{KINDS.get(kind, JUMP)};height:14px" '
        f'title="{escape(kind)}: {count}"></span>'
        for kind, count in counts.items()
    ]
    names = " · ".join(
        f'<span style="color:{KINDS.get(kind, JUMP)}">■</span> {escape(kind)} {count}'
        for kind, count in counts.items()
    )
    return f'<div style="display:flex;gap:1px">{"".join(pieces)}</div><small>{names}</small>'
