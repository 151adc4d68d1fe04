"""What the page says of a run: its sentence, its rises, its units, its groups, small curves."""

import base64
import dataclasses

import numpy as np
import pytest

from limitcycle.reading.history import history_of
from limitcycle.record import load
from limitcycle.report.content import content
from limitcycle.report.curves import curves_of
from limitcycle.report.depth import depth
from limitcycle.report.legend import histories
from limitcycle.report.marks import counted, marks
from limitcycle.report.panels import four_panels, panels_of, stacked_panels
from limitcycle.report.story import growth, story


def rule(name, scaling):
    return {"watched": {"update_rule": {
        "name": name, "scaling": scaling, "decays": True, "nesterov": False, "equilibrium": "",
    }}}  # fmt: skip


def test_the_story_of_a_periodic_run_names_its_panels_and_numbers(sawtooth):
    (history,) = histories([sawtooth(rows=6_000, period=600)])
    parts = story(history)
    assert [part.panel for part in parts] == ["norm", "effective_lr", "loss"]
    rates = history.columns["effective_lr"]
    events = history.diagnosis.events
    (peak, start) = history.rows_of([events["peak"].iloc[0], events["start"].iloc[1]])
    assert growth(history) >= rates[start] / rates[peak : start + 1].min() > 1.5
    assert "9 times here, about every 600 steps" in parts[2].text


def test_a_run_without_jumps_is_not_said_to_jump(sawtooth):
    (history,) = histories([sawtooth(rows=500, period=600)])
    assert not [part for part in story(history) if "jumps" in part.text]
    (short,) = histories([sawtooth(rows=3)])
    assert [part.text[:17] for part in story(short)] == ["Too early to tell"]


def test_rises_that_are_no_jumps_are_counted_and_have_a_reason(sawtooth):
    run = sawtooth(rows=6_000, period=1_500)
    assert counted(marks(histories([run])[0])) == ""
    steps = run.steps.copy()
    steps.loc[2_300:2_303, "loss"] = [2.0, 1.0, 0.5, 0.2]
    rises = marks(histories([dataclasses.replace(run, steps=steps)])[0])
    assert [mark.jump for mark in rises] == [True, False, True, True]
    assert rises[1].step == 2_298 and "no jump" in rises[1].reason and "batch" in rises[1].reason
    assert counted(rises).startswith("One rise of the loss that is no jump")


@pytest.mark.parametrize(
    ("name", "scaling", "said"),
    [
        ("SGD", "gradient", "effective learning rate η/ρ²"),
        ("AdamW", "normalised", "effective learning rate η/ρ"),
        ("LAMB", "weights", "effective learning rate η"),
        ("Mine", "unknown", "effective learning rate"),
    ],
)
def test_units_are_those_of_the_record(sawtooth, name, scaling, said):
    run = dataclasses.replace(sawtooth("w", run=False), info=rule(name, scaling))
    history = history_of(run, "w")
    (panel,) = panels_of([history], ["phase"]).panels
    assert panel.x is not None and said in (panel.x.label, panel.y.label)
    assert (history.threshold is None) == (name != "SGD")
    (rate,) = panels_of([history], ["effective_lr"]).panels
    assert rate.y.label.replace("\n", " ") == said


def test_a_bare_table_says_by_its_numbers_what_its_rate_is(double, sawtooth):
    steps = sawtooth().steps
    for power, said in ((2, "η/ρ²"), (1, "η/ρ"), (0, "η"), (1.5, "")):
        table = steps.assign(effective_lr=steps["lr"] / steps["norm"] ** power)
        assert history_of(double("t", None, table, sawtooth().epochs), "t").rate == said


def test_what_is_not_known_has_no_panel(sawtooth):
    names = [each.name for each in stacked_panels(histories([sawtooth()])).panels]
    assert names == ["loss", "effective_lr", "norm", "test_error"]
    names = [each.name for each in stacked_panels(histories([sawtooth(measured=False)])).panels]
    assert names == ["loss", "effective_lr", "norm"]
    four = [each.name for each in four_panels(histories([sawtooth(measured=False)])).panels]
    assert four == ["loss", "effective_lr", "norm", "phase"]


def test_groups_are_rows_in_the_order_of_the_data(sawtooth, grouped):
    (history,) = histories([grouped(sawtooth("w", run=False))])
    found = depth(history)
    assert found.groups == ("conv1.weight", "conv2.weight (+1)", "conv3.weight")
    rotation = found.grids["rotation"]
    assert np.allclose(rotation, [[1e-3], [2e-3], [3e-3]]) and rotation.shape[1] == 240
    assert np.allclose(np.nanmedian(found.grids["norm"], axis=1), 1), "each over its median"
    assert depth(histories([sawtooth()])[0]) is None
    told = content([history], "steps")["runs"][0]["depth"]
    assert list(told["measures"]) == ["effective_lr", "rotation", "norm"]


def test_curves_of_cells_are_small_and_keep_extremes(tmp_path, mapped):
    from limitcycle.lab import plane_of, train

    plane = plane_of({"lr": [0.1, 1.0], "weight_decay": [0.001, 0.003]})
    table = mapped(plane)
    first = str(table["identity"].iloc[0])
    run = dataclasses.replace(plane.cells[0].run, width=8, train_size=256, test_size=64, steps=900)
    train(run, tmp_path / "cells" / first)
    found = curves_of(table, tmp_path)
    assert list(found) == [first], "runs that are not there have no curves"
    steps = load(tmp_path / "cells" / first).steps
    loss = np.frombuffer(base64.b64decode(found[first]["loss"]["bdata"]), "<f4")
    assert len(loss) < 500 and loss.max() == np.float32(steps["loss"].max())
