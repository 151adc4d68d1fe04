"""Fit the numbers of the forecast to the runs of the design, and write them into the package.

The threshold's location and scale are sums over measures (`FEATURES`), fitted by the likelihood of
the next jump given what had been survived; moments after which a run ended count as survived, too.
Every run has the same weight. Levels are then set right, so that 80 % are 80 % at random moments:
on the same runs, each forecast by a fit that has not seen it, and with the moments at which a jump
had begun unseen, which no fit can mend. Runs for the scores are not opened.

    python -m benchmarks.foresight.fit --runs FOLDER
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.foresight.design import SEED as design_seed
from benchmarks.foresight.design import design
from benchmarks.foresight.moments import Made, made, moments
from limitcycle.reading.forecast import in_between
from limitcycle.reading.foresight import fitted as package
from limitcycle.reading.foresight.measures import measure
from limitcycle.reading.foresight.pace import pace_of
from limitcycle.reading.foresight.threshold import chance_within

Array = NDArray[np.float64]
SEED = 271
MOMENTS = 60
HORIZON = 1.5
"""Usual periods ahead to which the fit looks; what comes later counts as survived until then."""

_WITH_LAG = " with lag"
PENALTY = 1e-3
PARTS = 10
LEVELS = np.arange(1, 20) / 20
FEATURES = {
    "mini-batch": (("one", "last"), ("one", "log_growth")),
    "full batch": (("one", "by_period", "curved"), ("one",)),
    "adamw": (("one", "last"), ("one", "log_growth")),
    "adamw with lag": (("one", "last"), ("one", "log_growth", "lag")),
}
"""Measures of location and of scale, for each family of `limitcycle.reading.foresight.fitted`."""


def measured(runs: Sequence[Made], count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Measures of ``count`` random moments of each run, and the steps to the next jump.

    Moments at which no forecast is given are left out.
    """
    rows = []
    for run in runs:
        power = 1.0 if run.planned.optimizer == "adamw" else 2.0
        for moment in moments(run, count, rng):
            if len(moment.found.events) < 2 or in_between(moment.series, moment.found):
                continue
            pace = pace_of(moment.series, power)
            assert pace is not None
            values = measure(moment.series, pace, moment.found.events)
            over = np.isnan(moment.rest)
            family = package.family_of(run.planned.optimizer, values)
            rest = moment.rows_left if over else moment.rest
            rows.append(
                {
                    "run": run.planned.name,
                    "regime": run.planned.regime,
                    "split": run.planned.split,
                    "family": family.removesuffix(_WITH_LAG),
                    "rest": float(rest),
                    "over": bool(over),
                    "under_way": moment.under_way,
                    **asdict(values),
                }
            )
    return pd.DataFrame(rows)


def rows_of(table: pd.DataFrame, family: str) -> pd.DataFrame:
    """The moments that a family's numbers are fitted to; both of AdamW's to the same."""
    return table[table["family"] == family.removesuffix(_WITH_LAG)]


def weights(table: pd.DataFrame) -> Array:
    """The same weight for every run."""
    return np.asarray(1 / table.groupby("run")["run"].transform("count").to_numpy(np.float64))


def fit(table: pd.DataFrame, location: Sequence[str], log_scale: Sequence[str]) -> dict[str, Any]:
    """Factors of the location and of the logarithm of the scale, by maximum likelihood."""
    table = table[~table["under_way"]]
    ahead = HORIZON * table["period"].to_numpy()
    rest = table["rest"].to_numpy()
    seen = (~table["over"].to_numpy()) & (rest <= ahead)
    growth = table["rise_per_step"].to_numpy()
    here = table["position"].to_numpy()
    there = here + np.minimum(rest, ahead) * growth
    x, z = _matrix(table, location), _matrix(table, log_scale)
    weight = weights(table)
    weight /= weight.sum()

    def cost(factors: Array) -> float:
        m = x @ factors[: len(location)]
        log_s = np.clip(z @ factors[len(location) :], -4, 2)
        s = np.exp(log_s)
        survived = np.logaddexp(0, (here - m) / s) - np.logaddexp(0, (there - m) / s)
        hazard = (there - m) / s - np.logaddexp(0, (there - m) / s) - log_s + np.log(growth)
        likelihood = survived + np.where(seen, hazard, 0.0)
        penalty = PENALTY * (factors**2).sum()
        return float(penalty - (weight * likelihood).sum())

    start = np.zeros(len(location) + len(log_scale))
    start[len(location)] = -1.5
    found = minimize(cost, start, method="L-BFGS-B").x
    return {
        "location": _named(location, found[: len(location)]),
        "log_scale": _named(log_scale, found[len(location) :]),
        "nominal": [0.0, *LEVELS.tolist(), 1.0],
        "level": [0.0, *LEVELS.tolist(), 1.0],
    }


def calibrated(
    table: pd.DataFrame, location: Sequence[str], log_scale: Sequence[str]
) -> dict[str, Any]:
    """The fit of ``table`` with levels that are right for runs that it has not seen."""
    runs = table["run"].unique()
    parts = np.random.default_rng(SEED).permutation(np.arange(len(runs)) % PARTS)
    part = table["run"].map(dict(zip(runs, parts, strict=True))).to_numpy()
    kept, chances = [], []
    for number in range(PARTS):
        model = package.Fitted.from_dict(fit(table[part != number], location, log_scale))
        unseen = table[(part == number) & ~table["over"].to_numpy()]
        kept.append(unseen)
        chances.append(_chance(model, unseen))
    chance, weight = np.concatenate(chances), weights(pd.concat(kept))
    order = np.argsort(chance)
    share = np.cumsum(weight[order])
    level = np.interp(LEVELS, share / share[-1], chance[order])
    found = fit(table, location, log_scale)
    return {**found, "level": [0.0, *np.round(level, 4).tolist(), 1.0]}


def _chance(model: package.Fitted, table: pd.DataFrame) -> Array:
    """The probability that ``model`` gave to a jump before the one that came."""
    location, scale = model.threshold({str(name): table[name] for name in table})
    rise = table["rest"].to_numpy() * table["rise_per_step"].to_numpy()
    return chance_within(rise, table["position"].to_numpy(), location, scale)


def first_waits(runs: Sequence[Made]) -> dict[str, tuple[float, float, int]]:
    """Quartiles of the wait from the norm's first maximum to the first jump, by kind."""
    waits: dict[str, list[float]] = {}
    for run in runs:
        if not run.events:
            continue
        settings = run.planned.settings
        name = "momentum" if settings.get("momentum") else "sgd"
        name = "full batch" if settings.get("batch_size") == "full" else name
        name = "adamw" if run.planned.optimizer == "adamw" else name
        pace = pace_of(run.series, 2.0)
        assert pace is not None
        start = run.events[0].start
        top = int(np.argmax(run.series.log_norm[: start + 1]))
        waits.setdefault(name, []).append(float(pace.u[start] - pace.u[top]))
    return {
        name: (*np.round(np.quantile(each, [0.25, 0.75]), 2).tolist(), len(each))
        for name, each in waits.items()
    }


def opened(folder: Path, splits: Sequence[str], seed: int = design_seed) -> list[Made]:
    """The runs of some splits that were made."""
    chosen = [planned for planned in design(seed) if planned.split in splits]
    found = [made(planned, folder) for planned in chosen]
    return [run for run in found if run is not None]


def _matrix(table: pd.DataFrame, names: Sequence[str]) -> Array:
    columns = [np.ones(len(table)) if name == "one" else table[name] for name in names]
    return np.column_stack(columns)


def _named(names: Sequence[str], values: Array) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


def main() -> None:
    """Fit on what is not for the scores, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    runs = opened(parser.parse_args().runs, ("train", "val"))
    periodic = [run for run in runs if run.periodic]
    table = measured(periodic, MOMENTS, np.random.default_rng(SEED))
    families = {name: rows_of(table, name) for name in FEATURES}
    content = {
        "made_by": "python -m benchmarks.foresight.fit",
        "runs": {name: int(rows["run"].nunique()) for name, rows in families.items()},
        "threshold": {name: calibrated(rows, *FEATURES[name]) for name, rows in families.items()},
        "first_jump": first_waits(runs),
    }
    path = Path(package.__file__).with_name(package.FILE)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
