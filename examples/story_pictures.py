"""The story's two pictures, from what `story.py` recorded, drawn by the report's painter."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from story_told import WAYS, Told

from limitcycle.reading.clock import Clock
from limitcycle.report.figure import Axis, Figure, Line, Mark, Panel, Points
from limitcycle.report.paint import paint

BLUE, RED, ORANGE, GREY = "#0072B2", "#D55E00", "#E69F00", "#7F7F7F"
LOSS = Axis("loss, nats", log=True)
ERROR = Axis("test error, %", limits=(0.0, 100.0))
FULL_PAGE = 6.6


def draw(told: Told, out: Path) -> None:
    """``before.png`` and ``after.png``."""
    paint(before(told), out / "before.png", width=FULL_PAGE)
    paint(after(told), out / "after.png", width=FULL_PAGE)


def before(told: Told) -> Figure:
    """The mistyped run: what one sees, what is usually logged, and what watching logs."""
    record = told.records["as-it-was"]
    rate = record["lr"] / record["norm"] ** 2
    at = [look["step"] - 1 for look in told.warnings()]
    warned = Points(_clock(at), rate.to_numpy()[at], RED, symbol="circle", size=7.0)
    panels = (
        Panel("loss", "Training loss of each batch", LOSS, _loss(told, "as-it-was", BLUE)),
        Panel("test_error", "Test error", ERROR, _error(record, BLUE)),
        Panel("norm", "What is usually logged: the norm of all parameters",
              Axis("norm", log=True), (_line(record, "all_weights", GREY),)),
        Panel("effective_lr", "What watching logs: the effective learning rate",
              Axis("η/ρ²", log=True),
              (_line(record.assign(rate=rate), "rate", BLUE), warned)),
    )  # fmt: skip
    title = "▼ a jump, as found afterwards      ● the first warning of the next one"
    return Figure(panels, "steps", title=title, columns=2)


def after(told: Told) -> Figure:
    """Loss and test error of four ways, side by side, from where they part."""
    shown = {"as-it-was": GREY, "halved": ORANGE, "held-lower": BLUE, "held": RED}
    loss = _same(LOSS, told)
    top = [
        Panel(f"loss {way}", WAYS[way].capitalize(), loss, _loss(told, way, colour, told.moment))
        for way, colour in shown.items()
    ]
    bottom = [
        Panel(f"test_error {way}", "", ERROR, _error(told.records[way], colour, told.moment))
        for way, colour in shown.items()
    ]
    return Figure((*top, *bottom), "steps", columns=len(shown))


def _same(axis: Axis, told: Told) -> Axis:
    """The axis over all ways' losses, so that panels side by side compare."""
    losses = pd.concat([told.whole(way) for way in WAYS])["loss"]
    losses = losses[losses > 0]
    return Axis(axis.label, axis.log, (losses.min() / 1.5, losses.max() * 3))


def _clock(steps: Sequence[int]) -> Clock:
    return Clock(np.asarray(steps, dtype=np.float64))


def _line(record: pd.DataFrame, column: str, colour: str) -> Line:
    shown = record[record[column].notna()]
    return Line(_clock(shown["step"]), shown[column].to_numpy(np.float64), colour)


def _loss(told: Told, way: str, colour: str, first: int = 0) -> tuple[Mark, ...]:
    """The loss of every batch, with a triangle over every jump."""
    record = told.whole(way)
    events = told.verdict(way).events
    events = events[events["start"] >= first]
    at = _clock(events["peak"])
    peaks = Points(
        at, 2 * events["loss_peak"].to_numpy(np.float64), colour, symbol="triangle", size=7.0
    )
    return _line(record[record["step"] >= first], "loss", colour), peaks


def _error(record: pd.DataFrame, colour: str, first: int = 0) -> tuple[Mark, ...]:
    shown = record[record["step"] >= first]
    return (_line(shown.assign(percent=100 * shown["test_error"]), "percent", colour),)
