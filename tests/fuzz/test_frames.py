"""Hostile frames: `lc.diagnose` judges, or refuses in one line. Nothing else comes out, no warning.

A seed makes a table, so a failure names what to try again: ``try_frame(seed)``.
"""

import contextlib
import datetime
import decimal
import random
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import limitcycle as lc
from limitcycle.errors import UserError
from limitcycle.reading import LABELS
from tests.reading.series import CLEAN

SEEDS = 3_000
BASE = CLEAN.run()[0].iloc[:400].reset_index(drop=True)
NAMES = ("step", "loss", "norm")
ODD = (
    *(float("nan"), float("inf"), -float("inf"), -1.0, -0.0, 0.0, 1e308, 5e-324, 1e-200, 2.0**63),
    *(None, pd.NA, pd.NaT, "", "nan", "1e3", "x", "\ud800", b"1", True, 1j, 10**400, -(10**30)),
    *([], [1], (1, 2), {}, {"a": 1}, np.zeros(3), np.zeros((0, 2)), object(), Ellipsis),
    *(decimal.Decimal("NaN"), decimal.Decimal("1e999"), datetime.datetime(2024, 1, 1)),
    *(datetime.timedelta(1), np.float16(2), np.datetime64("NaT"), np.longdouble(1), lambda: 1),
)
DTYPES = (
    *("int8", "int16", "uint8", "uint64", "float16", "float32", "float64", "complex128", "bool"),
    *("object", "str", "string", "category", "Int64", "Float64", "boolean", "datetime64[ns]"),
    *("timedelta64[s]", "S4", "U4", "int64[pyarrow]", "string[pyarrow]", "double[pyarrow]"),
    *("Sparse[float]", "period[D]", "datetime64[ns, UTC]", "interval"),
)


def retyped(frame, draw):
    """One column, or all, in another type, where pandas makes one of it."""
    kind = draw.choice(DTYPES)
    name = draw.choice(NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return frame.assign(**{name: frame[name].astype(kind)})
        except Exception:
            return frame.assign(**{name: frame[name].astype(object)})


def with_odd_cells(frame, draw):
    name = draw.choice(list(NAMES))
    cells = frame[name].astype(object).tolist()
    for _ in range(draw.choice([1, 3, len(cells)])):
        if cells:
            cells[draw.randrange(len(cells))] = draw.choice(ODD)
    return frame.assign(**{name: pd.Series(cells, dtype=object, index=frame.index)})


def with_odd_column(frame, draw):
    value = draw.choice(ODD)
    column = pd.Series([value] * len(frame), dtype=object, index=frame.index)
    name = draw.choice([*NAMES, "lr", "weight_decay", "momentum", "epoch", "effective_lr", "x"])
    return frame.assign(**{name: column})


def with_odd_numbers(frame, draw):
    name = draw.choice(NAMES)
    values = frame[name].to_numpy(np.float64).copy()
    for _ in range(draw.choice([1, 5, len(values)])):
        if len(values):
            values[draw.randrange(len(values))] = draw.choice(
                [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308, 5e-324, 1e-300, 2.0**53, -(2.0**63)]
            )
    return frame.assign(**{name: values})


def scaled(frame, draw):
    name = draw.choice(NAMES)
    with np.errstate(all="ignore"):
        return frame.assign(
            **{name: frame[name] * draw.choice([0, -1, 1e-320, 1e300, 1e-30, 1e18])}
        )


def renamed(frame, draw):
    names = list(frame.columns)
    if not names:
        return frame
    names[draw.randrange(len(names))] = draw.choice(
        ["step", "loss", "norm", "Loss", "", None, 7, ("a", "b"), "\ud800", "train_loss", 1.5]
    )
    return frame.set_axis(names, axis=1)


def doubled(frame, draw):
    return pd.concat([frame, frame[[draw.choice(list(frame.columns))]]], axis=1)


def reindexed(frame, draw):
    kind = draw.choice(["step", "multi", "columns", "duplicate", "dates", "transposed", "nameless"])
    if kind == "step" and "step" in frame:
        return frame.set_index("step")
    if kind == "multi" and {"step", "loss"} <= {*frame.columns}:
        return frame.set_index(["step", "loss"], drop=draw.random() < 0.5)
    if kind == "columns":
        return frame.set_axis(pd.MultiIndex.from_product([["a"], range(frame.shape[1])]), axis=1)
    if kind == "duplicate":
        return frame.set_axis([0] * len(frame))
    if kind == "dates":
        return frame.set_axis(pd.date_range("2024-01-01", periods=len(frame)))
    return frame.T if kind == "transposed" else frame.rename_axis(None)


def cut(frame, draw):
    return frame.iloc[: draw.choice([0, 1, 2, 3, 29, 30, 31])]


def shuffled(frame, draw):
    return frame.sample(frac=draw.choice([0.1, 1.0]), random_state=draw.randrange(99))


def restarted(frame, draw):
    return pd.concat([frame, frame.iloc[draw.randrange(len(frame) + 1) :]])


def fewer(frame, draw):
    return frame.drop(columns=[draw.choice(list(frame.columns))])


CHANGES = (
    *(retyped, with_odd_cells, with_odd_column, with_odd_numbers, scaled, renamed, doubled),
    *(reindexed, cut, shuffled, restarted, fewer),
)


class Table:
    """Something with columns that is no frame."""

    columns = NAMES


def as_other(frame, draw):
    """The frame as another kind of table, or as something that is none."""
    plain = {str(name): list(values) for name, values in frame.items() if frame.columns.is_unique}
    return draw.choice(
        [
            lambda: plain,
            lambda: {name: np.array(values, dtype=object) for name, values in plain.items()},
            lambda: {name: iter(values) for name, values in plain.items()},
            lambda: {name: np.zeros((len(values), 2)) for name, values in plain.items()},
            lambda: {name: values[0] if values else None for name, values in plain.items()},
            lambda: pa.table({n: pa.array(v, from_pandas=True) for n, v in plain.items()}),
            lambda: frame.to_numpy(),
            lambda: frame.iloc[:, 0],
            lambda: [frame],
            lambda: frame.groupby(level=0),
            lambda: Table(),
            lambda: draw.choice(ODD),
        ]
    )()


def settings(draw, rows):
    """Arguments, most of them wrong."""
    values = (
        *ODD,
        *(0.1, 1e-3, np.full(rows, 0.1), np.full(rows + 1, 0.1), [0.1] * rows, np.zeros((rows, 1))),
        *(pd.Series(0.1, index=range(rows)), pa.array([0.1] * rows), "0.1", [None] * rows),
    )
    names = ("lr", "weight_decay", "momentum", "stuck_above", "train_size", "batch_size", "status")
    chosen = [name for name in names if draw.random() < 0.05]
    return {name: draw.choice(values) for name in chosen}


def frame_of(seed):
    """A hostile table and hostile arguments."""
    draw = random.Random(seed)
    table = BASE
    for _ in range(draw.choice([1, 1, 2, 3])):
        change = draw.choice(CHANGES)
        try:
            table = change(table, draw)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
            continue  # one change made another impossible
    given = settings(draw, len(table))
    if draw.random() < 0.15:
        with contextlib.suppress(pa.ArrowException, OverflowError, ValueError, TypeError):
            table = as_other(table, draw)  # Arrow does not take every cell
    return table, given


def try_frame(seed):
    """Whether a verdict came."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of making such a table, not of judging it
        table, given = frame_of(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            verdict = lc.diagnose(table, **given)
        except UserError as problem:
            assert str(problem).strip() and "\n" not in str(problem), repr(str(problem))
            assert len(str(problem)) < 2_000, str(problem)[:200]
            return False
        assert verdict.label in LABELS
        assert verdict.headline and "\n" not in verdict.headline
        assert all(line.strip() for line in str(verdict).splitlines())
        return True


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, 500))
def test_hostile_frames_are_judged_or_refused_in_one_line(first):
    failed, judged = {}, 0
    for seed in range(first, first + 500):
        try:
            judged += try_frame(seed)
        except Exception as problem:
            failed[seed] = f"{type(problem).__name__}: {str(problem)[:150]}"
    assert not failed, f"{len(failed)} fail, such as {list(failed.items())[:12]}"
    assert 50 < judged < 450


def test_some_hostile_frames_are_judged_or_refused_in_one_line():
    for seed in range(SEEDS, SEEDS + 40):
        try_frame(seed)
