"""The scores of the forecast on runs that it was not fitted on, at random moments, as tables.

Every moment is read by `limitcycle.reading.diagnose` from the rows up to it. A range is right if
the next start lies in it; it is wrong, too, where a jump had begun unseen, or where it has passed
and the run has not jumped. Moments whose outcome the run's end hides are left out. Units are the
run's own median period.

    python -m benchmarks.foresight.score --runs FOLDER
    python -m benchmarks.foresight.score --runs FOLDER --fresh OTHER --design 27182  # other runs
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.foresight.baselines import BASELINES, spread
from benchmarks.foresight.design import SPLITS
from benchmarks.foresight.fit import LEVELS, opened
from benchmarks.foresight.moments import Made, Moment, moments, until
from limitcycle.reading import diagnose
from limitcycle.reading.forecast import is_alarm, quantiles
from limitcycle.reading.foresight.kinds import kind_of
from limitcycle.reading.foresight.measures import measure
from limitcycle.reading.foresight.pace import pace_of

Array = NDArray[np.float64]
SEED = 577
MOMENTS = 60
WITHIN = 0.5
"""Of the run's past median period: the Brier score is of *a jump within that*."""

FORECAST = "forecast"


def scored(runs: Sequence[Made], count: int, rng: np.random.Generator) -> pd.DataFrame:
    """One row a moment: what was said, by whom, and what came."""
    rows = []
    for run in runs:
        rows += [_row(run, moment) for moment in moments(run, count, rng)]
    return pd.DataFrame(rows)


def _row(run: Made, moment: Moment) -> dict[str, object]:
    data = replace(run.data, steps=run.data.steps.iloc[: moment.row + 1], status=None)
    said = diagnose(data).forecast
    row = {
        "run": run.planned.name,
        "regime": run.planned.regime,
        "period": run.period,
        "rest": moment.rest,
        "rows_left": moment.rows_left,
        "under_way": moment.under_way,
        "jumps": len(moment.found.events),
        "low": said.low,
        "median": said.median,
        "high": said.high,
        "calibrated": said.calibrated,
        "reason": said.reason,
    }
    events = moment.found.events
    if len(events) >= 2:
        row["usual"] = float(np.median(np.diff([event.start for event in events])[-7:]))
        row |= {name: rule(moment.series, events) for name, rule in BASELINES.items()}
    if not np.isnan(said.median):
        row["quantiles"] = _quantiles(run, moment)
    return row


def _quantiles(run: Made, moment: Moment) -> Array:
    """The whole distribution behind a forecast."""
    kind = kind_of(moment.series, run.data.rule, known=True)
    assert kind is not None
    pace = pace_of(moment.series, kind.power)
    assert pace is not None
    return quantiles(measure(moment.series, pace, moment.found.events), kind, LEVELS)


def said_on(runs: Sequence[Made], count: int, rng: np.random.Generator) -> pd.DataFrame:
    """What the baselines said on the runs of the fit, for the scatter of their errors."""
    rows = []
    for run in runs:
        for moment in moments(run, count, rng):
            events = moment.found.events
            if len(events) < 2:
                continue
            usual = float(np.median(np.diff([event.start for event in events])[-7:]))
            said = {name: rule(moment.series, events) for name, rule in BASELINES.items()}
            rows.append({"rest": moment.rest, "usual": usual, **said})
    return pd.DataFrame(rows)


def decided(table: pd.DataFrame) -> pd.Series:
    """Moments of which is known whether the range was right."""
    return table["rest"].notna() | (table["high"] < table["rows_left"])


def right(table: pd.DataFrame) -> pd.Series:
    """Whether the next start lies in the range."""
    return (table["rest"] >= table["low"]) & (table["rest"] <= table["high"])


def by_regime(table: pd.DataFrame) -> pd.DataFrame:
    """Coverage, width, error and share withheld, of each regime and of all but schedules."""
    rows = []
    parts = {str(name): part for name, part in table.groupby("regime", sort=False)}
    usual = table[table["regime"] != "schedule"]
    parts["all but schedules"] = usual
    parts["... each run with the same weight"] = usual
    for name, part in parts.items():
        given = part[part["median"].notna()]
        known = given[decided(given)]
        seen = known[known["rest"].notna()]
        weight = np.ones(len(known))
        if name.startswith("..."):
            weight = 1 / known.groupby("run")["run"].transform("count").to_numpy(np.float64)
        rows.append(
            {
                "regime": name,
                "runs": part["run"].nunique(),
                "moments": len(part),
                "withheld": 1 - len(given) / max(len(part), 1),
                "coverage": np.average(right(known), weights=weight) if len(known) else np.nan,
                "width": ((given["high"] - given["low"]) / given["period"]).median(),
                "error": ((seen["median"] - seen["rest"]).abs() / seen["period"]).mean(),
                "below": (known["rest"] < known["low"]).mean(),
            }
        )
    return pd.DataFrame(rows)


def against(table: pd.DataFrame, fitted_on: pd.DataFrame) -> pd.DataFrame:
    """Mean error, CRPS and Brier score of the forecast and of what it has to beat.

    At the moments at which there is a forecast and the next jump was seen. A baseline's quantiles
    are its number and the scatter of its errors on the runs of the fit.
    """
    both = table[table["median"].notna() & table["rest"].notna()]
    both = both[both["regime"] != "schedule"]
    rest, period = both["rest"].to_numpy(), both["period"].to_numpy()
    usual = both["usual"].to_numpy()
    rows = [
        _scores(
            FORECAST,
            np.stack(list(both["quantiles"])),
            both["median"].to_numpy(),
            rest,
            period,
            usual,
        )
    ]
    for name in BASELINES:
        train = fitted_on[fitted_on[name].notna() & fitted_on["rest"].notna()]
        errors = spread(
            train[name].to_numpy(), train["usual"].to_numpy(), train["rest"].to_numpy(), LEVELS
        )
        there = both[name].notna().to_numpy()
        said = both[name].to_numpy()[there]
        found = np.maximum(said[:, None] + usual[there, None] * errors, 0)
        rows.append(_scores(name, found, said, rest[there], period[there], usual[there]))
    return pd.DataFrame(rows)


def _scores(
    name: str, found: Array, said: Array, rest: Array, period: Array, usual: Array
) -> dict[str, object]:
    above = np.maximum(rest[:, None] - found, 0)
    below = np.maximum(found - rest[:, None], 0)
    loss = 2 * (LEVELS * above + (1 - LEVELS) * below).mean(axis=1)
    chance = np.array(
        [_chance(each, WITHIN * ahead) for each, ahead in zip(found, usual, strict=True)]
    )
    came = rest <= WITHIN * usual
    return {
        "forecaster": name,
        "moments": len(rest),
        "mean error": float(np.mean(np.abs(np.asarray(said) - rest) / period)),
        "CRPS": float(np.mean(loss / period)),
        "Brier": float(np.mean((chance - came) ** 2)),
        "constant": float(np.mean((came.mean() - came) ** 2)),
    }


def _chance(found: Array, ahead: float) -> float:
    """The probability of a jump within ``ahead`` steps, from quantiles."""
    return float(np.interp(ahead, [0.0, *found], [0.0, *LEVELS], right=1.0))


def alarms(runs: Sequence[Made]) -> dict[str, float]:
    """Of full-batch runs, over all rows of each calm from the second jump on.

    An alarm is true where the jump begins within half a past median period; a false one may be
    raised again after that. Lead is the share of the period that is left at the true one.
    """
    leads, false, missed, calms = [], 0, 0, 0
    for run in runs:
        for index in range(1, len(run.events) - 1):
            calms += 1
            usual = float(np.median(np.diff(run.starts[: index + 1])[-7:]))
            raised = _raised(run, index)
            lead, wrong = _judged(raised, int(run.starts[index + 1]), usual)
            false += wrong
            missed += lead is None
            if lead is not None:
                leads.append(lead / float(run.starts[index + 1] - run.starts[index]))
    return {
        "runs": len(runs),
        "periods": calms,
        "lead": float(np.median(leads)) if leads else float("nan"),
        "lead, lower quartile": float(np.quantile(leads, 0.25)) if leads else float("nan"),
        "false a period": false / max(calms, 1),
        "missed": missed / max(calms, 1),
    }


def _raised(run: Made, index: int) -> list[int]:
    """Rows of the calm after a jump at which there is an alarm."""
    kind = kind_of(run.series, run.data.rule, known=True)
    assert kind is not None
    first, last = run.events[index].top + 2, int(run.starts[index + 1])
    found = []
    for row in range(first, last):
        series = until(run.series, row + 1)
        pace = pace_of(series, kind.power)
        assert pace is not None
        if is_alarm(measure(series, pace, run.events[: index + 1])):
            found.append(row)
    return found


def _judged(raised: Sequence[int], start: int, usual: float) -> tuple[float | None, int]:
    """Rows from the first true alarm to the start (None: none), and the number of false ones."""
    false, silent_until = 0, -1.0
    for row in raised:
        if row < silent_until:
            continue
        if start - row <= 0.5 * usual:
            return float(start - row), false
        false += 1
        silent_until = row + 0.5 * usual
    return None, false


def main() -> None:
    """Score the runs that nothing was fitted on, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED, help="of the moments")
    parser.add_argument("--moments", type=int, default=MOMENTS, help="of each run")
    parser.add_argument("--split", default="test", help="val: to try the scores, not to report")
    parser.add_argument("--fresh", type=Path, help="runs of another design, scored instead")
    parser.add_argument("--design", type=int, help="the seed of that design")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    if options.fresh is None:
        found = opened(options.runs, (options.split,))
    else:
        found = opened(options.fresh, SPLITS, options.design)
    runs = [run for run in found if run.periodic]
    table = scored(runs, options.moments, rng)
    table = table[table["jumps"] >= 2]
    fitted_on = [run for run in opened(options.runs, ("train", "val")) if run.periodic]
    learned = said_on(fitted_on, options.moments, rng)
    full = [run for run in runs if run.planned.regime.startswith("full batch")]
    with pd.option_context("display.width", 200, "display.precision", 3):
        print(by_regime(table).to_string(index=False))
        reasons = table.loc[table["median"].isna(), "reason"].value_counts()
        print("\nwithheld because", (reasons / len(table)).round(3).to_string(), sep="\n")
        print("\n" + against(table, learned).to_string(index=False))
        print("\nalarms", pd.Series(alarms(full)).round(3).to_string(), sep="\n")


if __name__ == "__main__":
    main()
