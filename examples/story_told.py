"""The story's words and numbers, from what `story.py` recorded.

`Told.blocks` are pieces of Markdown by name; `filled` puts them into a page between comments.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.reading import Diagnosis, diagnose

WAYS = {
    "as-it-was": "as it was",
    "halved": "weight decay halved",
    "held-lower": "norm held, lower learning rate",
    "held": "norm held as it stood",
    "as-meant": "weight decay as meant",
}
BEFORE_A_JUMP = 100  # steps in which the norms are compared
ALARM, ALARM_FACTOR, ALARM_OVER = 0.1, 10.0, 100
_BLOCK = re.compile(r"(<!-- (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Told:
    """A recorded story.

    Attributes:
        records: by way, keys of `WAYS`; but for "as-it-was" they begin at the moment.
        looks: what was said, look by look.
        moment: the step at which the ways part.
        growth: what the learning rate was divided by in "held-lower".
    """

    records: Mapping[str, pd.DataFrame]
    looks: Sequence[Mapping[str, Any]]
    moment: int
    growth: float

    @classmethod
    def read(cls, folder: Path) -> "Told":
        """The story recorded in ``folder``."""
        told = json.loads((folder / "looks.json").read_text(encoding="utf-8"))
        return cls({way: pd.read_parquet(folder / f"{way}.parquet") for way in WAYS}, **told)

    def whole(self, way: str) -> pd.DataFrame:
        """The way's record from the first step on, with the part that all ways share."""
        mine, shared = self.records[way], self.records["as-it-was"]
        return pd.concat([shared[shared["step"] < mine["step"].iloc[0]], mine], ignore_index=True)

    def verdict(self, way: str = "as-it-was") -> Diagnosis:
        """What the product says of a way, from the first step on."""
        return diagnose(self.whole(way))

    def warnings(self) -> list[Mapping[str, Any]]:
        """Of every jump to come the first look that said how far away it was."""
        starts = self.verdict().events["start"].to_numpy()
        said = [look for look in self.looks if None not in look["range"]]
        found = {}
        for look in said:
            coming = starts[starts >= look["step"]]
            if len(coming):
                found.setdefault(int(coming[0]), look)
        return [{**look, "jump": jump} for jump, look in found.items()]

    def blocks(self) -> dict[str, str]:
        """Pieces of Markdown by name."""
        at_moment = next(look for look in self.looks if look["step"] == self.moment)
        return {
            "symptom": self._symptom(),
            "norms": self._norms(),
            "looks": self._looks(),
            "diagnosis": f"```text\n{at_moment['said']}\n```",
            "forecasts": self._forecasts(),
            "outcome": self._outcome(),
        }

    def _symptom(self) -> str:
        record = self.records["as-it-was"]
        steps, jumps = len(record), self.verdict().events
        error = record["test_error"].dropna()
        late = error[len(error) // 2 :]
        return (
            f"In {steps:,} steps the loss spikes {len(alarms(record))} times; the product finds "
            f"{len(jumps)} jumps, at steps {_listed(jumps['start'])}. Over the second half of the "
            f"run the test error is {late.median():.1%} in the median, {late.min():.1%} at best "
            f"and {late.max():.1%} at worst."
        )

    def _norms(self) -> str:
        record = self.records["as-it-was"].set_index("step")
        starts = self.verdict().events["start"]
        starts = starts[starts >= BEFORE_A_JUMP]
        change = [
            float(np.median([record[name][at] / record[name][at - BEFORE_A_JUMP] for at in starts]))
            if len(starts)
            else np.nan
            for name in ("all_weights", "norm")
        ]
        return (
            f"Over the {BEFORE_A_JUMP} steps before a jump the norm of all parameters changes by "
            f"{change[0] - 1:+.0%} (median over the jumps), the norm of the scale-invariant "
            f"weights under weight decay by {change[1] - 1:+.0%}, and so the effective learning "
            f"rate η/ρ² grows {change[1] ** -2:.1f}-fold."
        )

    def _looks(self) -> str:
        until = [look for look in self.looks if look["step"] <= self.moment]
        kinds = ["", *(look["kind"] for look in until)]
        lines = [
            f"| {look['step']:,} | {look['advice']} |"
            for look, before in zip(until, kinds, strict=False)
            if look["kind"] != before or look["step"] == self.moment
        ]
        return "\n".join(["| after step | what it advises |", "| ---: | --- |", *lines])

    def _forecasts(self) -> str:
        lines, inside = [], 0
        for look in self.warnings():
            away = look["jump"] - look["step"]
            low, high = look["range"]
            inside += low <= away <= high
            lines.append(
                f"| {look['step']:,} | {low:,.0f} to {high:,.0f} | {away:,} | {look['jump']:,} |"
            )
        head = [
            "| said after step | steps, said | steps, in fact | the jump began at |",
            "| ---: | ---: | ---: | ---: |",
        ]
        silent = sum(None in look["range"] for look in self.looks)
        tail = (
            f"\n{inside} of {len(lines)} jumps began within what was said. At {silent} of "
            f"{len(self.looks)} looks nothing was forecast."
        )
        return "\n".join([*head, *lines, tail])

    def _outcome(self) -> str:
        head = (
            f"| from step {self.moment:,} on | jumps | loss spikes | best test error | median | "
            "worst of the last half | last | median loss |"
        )
        return "\n".join([head, "| --- |" + " ---: |" * 7, *map(self._row, WAYS)])

    def _row(self, way: str) -> str:
        jumps = (self.verdict(way).events["start"] >= self.moment).sum()
        record = self.whole(way)
        after = record[record["step"] >= self.moment]
        error = after["test_error"].dropna()
        late = error[len(error) // 2 :]
        shown = "–" if way.startswith("held") else str(jumps)
        errors = (error.min(), error.median(), late.max(), error.iloc[-1])
        cells = (WAYS[way], shown, str(len(alarms(after))), *(f"{each:.1%}" for each in errors))
        return "| " + " | ".join([*cells, f"{after['loss'].median():.2g}"]) + " |"


def alarms(record: pd.DataFrame) -> list[int]:
    """Steps at which a spike detector rings: nothing in it knows of norms.

    The loss of a batch is above `ALARM` and above `ALARM_FACTOR` times its median over the
    `ALARM_OVER` steps before; what rings within so many steps of the last ring is the same spike.
    """
    usual = record["loss"].rolling(ALARM_OVER, min_periods=ALARM_OVER).median().shift()
    rings = record["step"][(record["loss"] > ALARM) & (record["loss"] > ALARM_FACTOR * usual)]
    return list(rings[rings.diff().fillna(np.inf) > ALARM_OVER])


def _listed(steps: "pd.Series[int]") -> str:
    return ", ".join(f"{step:,}" for step in steps) or "none"


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """``page`` with each block between ``<!-- name -->`` and ``<!-- end -->``."""
    return _BLOCK.sub(lambda found: f"{found[1]}{blocks[found['name']]}\n{found[3]}", page)
