"""Rows as loggers leave them: nothing is lost, and what was done to them is said."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limitcycle.errors import UserError
from limitcycle.reading import diagnose
from limitcycle.reading.rows import in_order
from tests.reading.series import CLEAN

FRAME = CLEAN.run()[0].iloc[::8].reset_index(drop=True)
PLAIN = diagnose(FRAME)
TABLES = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.none() | st.floats(0.5, 2),
        st.none() | st.floats(0.5, 2),
    ),
    min_size=1,
    max_size=30,
)


def same_events(verdict, tolerance=0):
    assert verdict.label == PLAIN.label == "periodic"
    assert len(verdict.events) == len(PLAIN.events)
    np.testing.assert_allclose(verdict.events["start"], PLAIN.events["start"], atol=tolerance)


@settings(max_examples=100, deadline=None)
@given(rows=TABLES)
def test_the_last_value_that_is_there_wins(rows):
    table = pd.DataFrame(rows, columns=["step", "loss", "norm"]).astype(float)
    table["step"] = sorted(table["step"])
    ordered, _ = in_order(table)
    both = ordered["loss"].notna() & ordered["norm"].notna()
    for step, loss, norm in ordered.loc[both, ["step", "loss", "norm"]].itertuples(index=False):
        losses = [x for s, x, _ in rows if x is not None]
        norms = [x for s, _, x in rows if x is not None]
        assert loss in losses and norm in norms
        mine = table[(table["step"] == step)]
        for value, column in ((loss, mine["loss"].dropna()), (norm, mine["norm"].dropna())):
            assert not len(column) or value == column.iloc[-1]
    assert ordered["step"].is_monotonic_increasing and ordered["step"].is_unique


@pytest.mark.parametrize("behind", [True, False])
def test_a_validation_row_leaves_its_training_row(behind):
    validation = FRAME[::5].assign(loss=np.nan, norm=np.nan, val_loss=1.0)
    parts = [FRAME, validation] if behind else [validation, FRAME]
    verdict = diagnose(pd.concat(parts).sort_values("step", kind="stable"))
    same_events(verdict)
    assert verdict.usable_rows == len(FRAME) and verdict.notes == ()
    same_events(diagnose(pd.concat(parts)))


@pytest.mark.parametrize("apart", [0, 1, 3])
def test_loss_and_norm_in_rows_of_their_own_are_joined(apart):
    loss, norm = FRAME.assign(norm=np.nan), FRAME.assign(loss=np.nan)
    norm["step"] = norm["step"] - apart
    rows = pd.concat([loss, norm]).sort_values("step", kind="stable")
    same_events(diagnose(rows), tolerance=8)
    notes = diagnose(rows).notes
    assert (notes == ()) == (apart == 0)
    assert all("stand in rows of their own" in note for note in notes)


def test_settings_follow_joined_rows():
    loss, norm = FRAME.assign(norm=np.nan, lr=0.1), FRAME.assign(loss=np.nan)
    norm["step"] = norm["step"] - 1
    verdict = diagnose(pd.concat([norm, loss]), weight_decay=0.01)
    low, high = verdict.effective_lr
    assert 0 < low < high < 1


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.sampled_from(range(100, 2_000, 50)), min_size=1, max_size=4, unique=True))
def test_a_counter_that_was_set_back_to_zero_is_counted_on(cuts):
    steps, pieces = FRAME["step"].to_numpy(), []
    for part in np.split(np.arange(len(FRAME)), sorted(cuts)):
        if len(part):
            piece = FRAME.iloc[part]
            pieces.append(piece.assign(step=steps[part] - steps[part[0]]))
    whole = pd.concat(pieces)
    try:
        verdict = diagnose(whole)
    except (
        UserError
    ) as refusal:  # cut where the norm is what it was at first: it may be another run
        assert f"{len(pieces) - 1}" in str(refusal) or "once" in str(refusal)
        return
    same_events(verdict)
    assert "begins anew" in verdict.notes[0]


def test_a_resume_from_a_checkpoint_replaces_rows_and_counts_them():
    stale = FRAME.iloc[:600].copy()
    stale.loc[500:, "loss"] = 0.5
    verdict = diagnose(pd.concat([stale, FRAME.iloc[500:]]))
    same_events(verdict)
    assert verdict.notes[0].startswith("100 of ") and "the later one counts" in verdict.notes[0]


def test_runs_one_below_the_other_are_refused_with_their_number():
    with pytest.raises(UserError, match=r"begins anew 2 times.*these are 3 runs"):
        half = FRAME.iloc[: len(FRAME) // 2 + 90]
        diagnose(pd.concat([half, half * [1, 1.1, 1.001], half * [1, 0.9, 0.999]]))


@pytest.mark.parametrize("column", ["run", "run_id", "name"])
def test_several_runs_in_a_table_are_refused_by_name(column):
    both = pd.concat([FRAME.assign(**{column: "a"}), FRAME.assign(**{column: "b"})])
    with pytest.raises(UserError, match=rf"2 runs by its column '{column}' \('a', 'b'\)"):
        diagnose(both)
    same_events(diagnose(FRAME.assign(**{column: "a"})))


@pytest.mark.parametrize("times", [1, 2])
def test_shuffled_and_doubled_rows_are_the_same_rows(times):
    verdict = diagnose(pd.concat([FRAME] * times).sample(frac=1, random_state=0))
    same_events(verdict)
    assert verdict.notes == () == diagnose(pd.concat([FRAME] * times)).notes


def test_steps_too_large_to_be_counted_on_are_counted_as_replaced():
    half = FRAME.iloc[:100].assign(step=FRAME["step"] * 1e304)
    verdict = diagnose(pd.concat([half, half.assign(loss=2.0)]))
    assert verdict.notes[0].startswith("100 of 200 rows have another loss or norm")


def test_rows_without_a_step_are_counted():
    verdict = diagnose(pd.concat([FRAME, FRAME.head(3).assign(step=np.nan)]))
    same_events(verdict)
    assert f"3 of {len(FRAME) + 3:,} rows have no step and are left out" in verdict.notes


def test_epochs_count_where_nothing_else_does():
    table = FRAME.rename(columns={"step": "epoch"}).assign(weight_decay=0.1, lr=0.1)
    verdict = diagnose(table)
    same_events(verdict)
    assert "times are in epochs" in verdict.notes[0] and verdict.forecast.median != 0
    with pytest.raises(UserError, match="rename 'global_step' to 'step'"):
        diagnose(table.assign(global_step=1))


def test_tensors_are_columns():
    torch = pytest.importorskip("torch")
    columns = {name: torch.tensor(FRAME[name].to_numpy()) for name in FRAME.columns}
    columns["loss"].requires_grad_()
    columns["norm"] = columns["norm"].to(torch.float32)
    same_events(diagnose(columns))
    columns["loss"] = list(columns["loss"])  # appended step by step, each with its gradient
    same_events(diagnose(columns))
    columns["loss"] = torch.tensor(FRAME["loss"].to_numpy()).bfloat16()
    same_events(diagnose(columns), tolerance=8)


def test_a_cell_that_is_no_number_is_shown():
    cells = FRAME["loss"].astype(object)
    cells[17] = "n/a"
    with pytest.raises(UserError, match=r"'loss' does not hold numbers \(row 17 holds 'n/a'\)"):
        diagnose(FRAME.assign(loss=cells))
