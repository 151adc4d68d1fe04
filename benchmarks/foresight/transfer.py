"""Does the forecast carry over? Each regime forecast by a fit that has not seen one of its kind.

On the runs of the fit alone. Beside it stands the fit that has seen the others of its kind, and
what boosted trees make of the same measures: a ceiling, for what more freedom would bring.

    python -m benchmarks.foresight.transfer --runs FOLDER
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.foresight.fit import FEATURES, LEVELS, MOMENTS, SEED, fit, measured, opened, rows_of
from limitcycle.reading.foresight.fitted import Fitted
from limitcycle.reading.foresight.threshold import rest_of_rise

Array = NDArray[np.float64]
PARTS = 8
BOOSTED = ["position", "rise", "log_growth", "last", "by_period", "age", "curved"]
Forecaster = Callable[[pd.DataFrame, pd.DataFrame], Array]


def threshold(seen: pd.DataFrame, unseen: pd.DataFrame) -> Array:
    """Quantiles of the package's own kind of forecast, (moments, levels), in usual periods."""
    family = str(unseen["family"].iloc[0])
    model = Fitted.from_dict(fit(seen, *FEATURES[family]))
    location, scale = model.threshold({str(name): unseen[name] for name in unseen})
    rise = rest_of_rise(unseen["position"].to_numpy(), location, scale, LEVELS)
    return np.asarray(rise / (unseen["rise_per_step"] * unseen["period"]).to_numpy()[:, None])


def boosted(seen: pd.DataFrame, unseen: pd.DataFrame) -> Array:
    """Quantiles of boosted trees on all measures."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    known = seen[~seen["over"] & ~seen["under_way"]]
    target = known["rest"] / known["period"]
    found = []
    for level in (0.1, 0.5, 0.9):
        trees = HistGradientBoostingRegressor(
            loss="quantile", quantile=level, max_iter=60, max_leaf_nodes=8, min_samples_leaf=60
        )
        weight = 1 / known.groupby("run")["run"].transform("count")
        found.append(trees.fit(known[BOOSTED], target, weight).predict(unseen[BOOSTED]))
    ordered = np.sort(np.stack(found, axis=1), axis=1)
    return np.stack([np.interp(LEVELS, [0.1, 0.5, 0.9], each) for each in ordered])


def scores(found: Array, table: pd.DataFrame) -> dict[str, float]:
    """Coverage of 80 %, width, error and CRPS in usual periods; calm moments whose end was seen."""
    kept = (~table["over"] & ~table["under_way"]).to_numpy()
    rest = (table["rest"] / table["period"]).to_numpy()[kept]
    found = found[kept]
    low, middle, high = found[:, 1], found[:, 9], found[:, 17]
    above = np.maximum(rest[:, None] - found, 0)
    below = np.maximum(found - rest[:, None], 0)
    return {
        "coverage": float(np.mean((rest >= low) & (rest <= high))),
        "width": float(np.median(high - low)),
        "error": float(np.mean(np.abs(middle - rest))),
        "CRPS": float(2 * (LEVELS * above + (1 - LEVELS) * below).mean()),
    }


def within(table: pd.DataFrame, forecaster: Forecaster) -> dict[str, float]:
    """Every run forecast by a fit on the other parts of the runs of its family."""
    runs = table["run"].unique()
    parts = np.random.default_rng(SEED).permutation(np.arange(len(runs)) % PARTS)
    part = table["run"].map(dict(zip(runs, parts, strict=True))).to_numpy()
    pieces = [table[part == number] for number in range(PARTS)]
    found = [
        forecaster(table[part != number], piece)
        for number, piece in enumerate(pieces)
        if len(piece)
    ]
    return scores(np.concatenate(found), pd.concat(pieces))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    runs = [run for run in opened(parser.parse_args().runs, ("train", "val")) if run.periodic]
    table = measured(runs, MOMENTS, np.random.default_rng(SEED))
    rows = []
    for family in FEATURES:
        mine = rows_of(table, family).assign(family=family)
        for name, forecaster in (("threshold", threshold), ("boosted trees", boosted)):
            rows.append({"family": family, "forecaster": name, **within(mine, forecaster)})
    print(pd.DataFrame(rows).round(3).to_string(index=False))
    rows = []
    noisy = table[table["family"] == "mini-batch"]
    for regime in noisy["regime"].unique():
        unseen = noisy[noisy["regime"] == regime]
        found = threshold(noisy[noisy["regime"] != regime], unseen)
        rows.append(
            {"never seen": regime, "runs": unseen["run"].nunique(), **scores(found, unseen)}
        )
    adamw = rows_of(table, "adamw")
    found = threshold(noisy, adamw)
    rows.append({"never seen": "AdamW", "runs": adamw["run"].nunique(), **scores(found, adamw)})
    print("\n" + pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
