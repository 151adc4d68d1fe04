import dataclasses

import numpy as np
import pandas as pd
import pytest

from limitcycle.errors import UserError
from limitcycle.reading.period import typical_period
from limitcycle.record import Run
from limitcycle.report.figure import Line, Points, Span, drawable
from limitcycle.report.legend import histories, labels
from limitcycle.report.panels import four_panels, panels_of
from limitcycle.report.period import most_telling, one_period


def named(figure):
    return {panel.name: panel for panel in figure.panels}


def test_the_four_panels_of_the_paper(sawtooth):
    panels = named(four_panels(histories([sawtooth("a"), sawtooth("b", lr=0.1)])))
    assert list(panels) == ["loss", "test_error", "norm", "phase"]
    assert [panels[name].y.log for name in ("loss", "norm", "phase")] == [True] * 3
    assert panels["phase"].x.log and panels["loss"].x is None
    for panel in panels.values():
        assert {mark.run for mark in panel.marks} == {0, 1}


def test_the_norm_is_drawn_as_it_was_recorded(sawtooth):
    run = sawtooth()
    (line,) = named(four_panels(histories([run])))["norm"].marks
    assert np.array_equal(line.y, run.steps["norm"])
    assert np.array_equal(line.x.steps, run.steps["step"])


def test_every_event_found_is_in_the_picture(sawtooth):
    (history,) = histories([sawtooth(rows=60_000, period=300)])
    events = history.diagnosis.events
    assert len(events) > 190
    marks = named(four_panels([history]))["loss"].marks
    raw = next(mark for mark in marks if isinstance(mark, Line))
    for column in ("start", "peak", "recovery"):
        assert set(events[column]) <= set(raw.x.steps)
    triangles = next(mark for mark in marks if isinstance(mark, Points))
    assert set(triangles.x.steps) == set(events["peak"])


def test_starting_point_and_threshold_of_the_phase_diagram(sawtooth):
    run = sawtooth(lr=0.3, weight_decay=0.005)
    path, line, start = named(four_panels(histories([run])))["phase"].marks
    assert (start.x[0], start.y[0]) == (path.x[0], path.y[0])
    assert line.x * line.y == pytest.approx(np.sqrt(0.0015 * (2 - 0.0015)))
    assert line.x.min() < path.x.min() and line.x.max() > path.x.max()


def passing(run, every=1):
    """``run`` with the paper's additional pass at every so many evaluations."""
    epochs = run.epochs.iloc[::every]
    epochs = epochs.assign(
        train_loss=0.5 + epochs["step"] / 1e4,
        effective_lr=1e-3 * (1 + epochs["step"]),
        effective_grad_norm=7.0 + epochs["step"],
    )
    described = dataclasses.replace(run.run, train_pass=True)
    return dataclasses.replace(run, run=described, epochs=epochs)


def test_the_additional_pass_is_drawn_where_it_was_made_every_epoch(sawtooth):
    run = passing(sawtooth())
    panels = named(four_panels(histories([run])))
    _, line, _ = panels["loss"].marks
    assert np.array_equal(line.y, run.epochs["train_loss"])
    assert np.array_equal(line.x.steps, run.epochs["step"])
    path = panels["phase"].marks[0]
    assert np.array_equal(path.x, run.epochs["effective_lr"])
    assert np.array_equal(path.y, run.epochs["effective_grad_norm"])


@pytest.mark.parametrize("change", [lambda run: passing(run, every=20), lambda run: run])
def test_means_are_drawn_where_no_pass_was_made_every_epoch(sawtooth, change):
    _, line, _ = named(four_panels(histories([change(sawtooth())])))["loss"].marks
    assert len(line.y) > 1000


def test_passes_are_drawn_within_the_time_that_is_shown(sawtooth):
    (history,) = histories([passing(sawtooth())])
    rows = np.arange(1000, 2000)
    part = dataclasses.replace(
        history,
        clock=history.clock.take(rows),
        columns={name: values[rows] for name, values in history.columns.items()},
        means={name: values[rows] for name, values in history.means.items()},
    )
    (_, line) = named(panels_of([part], ("effective_grad_norm",)))["effective_grad_norm"].marks
    assert (line.x.steps.min(), line.x.steps.max()) == (1000, 2000)


def test_a_run_that_broke_down_in_its_first_epoch_is_drawn_against_epochs(sawtooth, double):
    run = sawtooth(rows=8)
    steps = run.steps.assign(loss=[*run.steps["loss"][:-1], np.nan])
    broken = double("broken", run.run, steps, pd.DataFrame(), info={"epoch_steps": 10})
    panels = named(four_panels(histories([sawtooth("a"), broken]), "epochs"))
    assert {mark.run for mark in panels["loss"].marks} == {0, 1}


def test_three_time_axes(sawtooth):
    run = sawtooth(lr=0.3, weight_decay=0.005)
    (line,) = named(four_panels(histories([run]), "periods"))["norm"].marks
    assert line.x.on("periods") == pytest.approx(run.steps["step"] * 0.0015)
    assert line.x.on("epochs") == pytest.approx(run.steps["step"] / 10)


def test_a_schedule_integrates_its_time(sawtooth):
    run = sawtooth(rows=100, period=50)
    steps = run.steps.assign(lr=np.where(run.steps["step"] < 50, 0.2, 0.1))
    (history,) = histories([dataclasses.replace(run, steps=steps)])
    assert np.isnan(history.lr)
    assert history.clock.periods[[0, 50, 60]] == pytest.approx([0.0, 50 * 0.001, 55 * 0.001])
    marks = named(four_panels([history]))["phase"].marks
    assert len(marks) == 2, "no one threshold holds for two learning rates"


def test_without_weight_decay_there_is_no_time_in_periods(sawtooth):
    run = sawtooth(lr=0.3, weight_decay=0.0)
    with pytest.raises(UserError, match=r"'run'.*weight decay"):
        four_panels(histories([run]), "periods")


def test_a_bare_table_is_drawn_too(double, sawtooth):
    table = sawtooth().steps[["step", "loss", "norm"]]
    (history,) = histories([double("mine.csv", None, table, pd.DataFrame())])
    assert history.label == "mine.csv"
    panels = named(four_panels([history]))
    assert len(panels["norm"].marks) == 1
    for name in ("test_error", "phase"):
        assert panels[name].marks == () and panels[name].note
    with pytest.raises(UserError, match="epoch column"):
        four_panels([history], "epochs")


def test_an_epoch_table_alone_is_drawn(double, sawtooth):
    run = sawtooth(rows=6_000, period=1_500)
    epochs = run.epochs.assign(train_loss=run.steps["loss"].to_numpy()[::10])
    (history,) = histories([double("e", run.run, pd.DataFrame(), epochs)])
    (line,) = named(four_panels([history]))["norm"].marks
    assert len(line.y) == 600


def test_a_missing_test_error_is_said(sawtooth):
    runs = [sawtooth("a", measured=False), sawtooth("b", lr=0.1)]
    panel = named(four_panels(histories(runs)))["test_error"]
    assert panel.note == "not measured for η = 0.3" and len(panel.marks) == 1


@pytest.mark.parametrize("rows", [0, 1, 2, 29])
def test_short_runs(sawtooth, rows):
    figure = four_panels(histories([sawtooth(rows=rows)]))
    assert len(figure.panels) == 4


def test_no_run_at_all():
    with pytest.raises(UserError, match="no run to show"):
        histories([])


def test_a_period_has_its_three_phases(sawtooth):
    (history,) = histories([sawtooth(rows=6_000, period=600)])
    period = typical_period(history)
    assert period.end - period.phase_a == pytest.approx(600, abs=5)
    assert period.phase_a < period.phase_b < period.phase_c < period.end
    figure = one_period(history)
    assert [panel.name for panel in figure.panels] == [
        "loss", "norm", "gradient", "angle", "jump", "phase",
    ]  # fmt: skip
    spans = [mark for mark in figure.panels[0].marks if isinstance(mark, Span)]
    assert [span.text for span in spans] == ["A", "B", "C"]
    assert spans[0].x.steps[0] == period.phase_a and spans[2].x.steps[1] == period.end
    labels = [mark.label for mark in figure.panels[-1].marks]
    assert labels[:3] == ["phase A", "phase B", "phase C"]


def test_the_loop_of_a_period_is_closed(sawtooth):
    (history,) = histories([sawtooth(rows=60_000, period=9_000)])
    figure, period = one_period(history), typical_period(history)
    a, b, c, back = figure.panels[-1].marks
    for line, after in ((a, b), (b, c), (c, back), (back, a)):
        assert (line.x[-1], line.y[-1]) == (after.x[0], after.y[0])
    (peak,) = history.rows_of([period.end])
    assert c.x[-1] == history.columns["effective_lr"][peak]


def test_letters_of_thin_bands_stand_outside_of_the_period(sawtooth):
    (history,) = histories([sawtooth(rows=6_000, period=600)])
    spans = [mark for mark in one_period(history).panels[0].marks if isinstance(mark, Span)]
    assert [span.align for span in spans] == ["right", "center", "left"]


def test_with_momentum_there_is_no_line_of_balance(sawtooth):
    run = sawtooth(lr=0.3, weight_decay=0.005)
    moving = dataclasses.replace(run, name="m", run=dataclasses.replace(run.run, momentum=0.9))
    panel = named(four_panels(histories([run, moving])))["phase"]
    lines = [mark for mark in panel.marks if "above this line" in mark.label]
    assert [mark.run for mark in lines] == [0]
    assert panel.note == (
        "no line of balance for momentum = 0.9: with momentum earlier gradients act, too"
    )
    bare = dataclasses.replace(run, run=None, steps=run.steps.assign(momentum=0.9))
    panel = named(four_panels(histories([bare])))["phase"]
    assert len(panel.marks) == 2 and panel.note.startswith("no line of balance: with momentum")


def test_an_effective_learning_rate_that_underflows_is_said(sawtooth):
    run = sawtooth(rows=200)
    steps = run.steps.assign(effective_lr=0.0)
    panel = named(four_panels(histories([dataclasses.replace(run, steps=steps)])))["phase"]
    assert panel.marks == () and "unknown or 0" in panel.note


def test_a_run_without_periods_has_none_to_enlarge(sawtooth):
    (history,) = histories([sawtooth(rows=500, period=600)])
    assert typical_period(history) is None and one_period(history) is None


def test_the_run_to_look_at_has_few_but_enough_events(sawtooth):
    made = [sawtooth(rows=6_000, period=period) for period in (7_000, 300, 1_200)]
    assert most_telling(histories(made)) == 2


def test_labels_name_what_differs(double):
    def label(*runs):
        return labels([double(f"r{at}", run, None, None) for at, run in enumerate(runs)])

    assert label(Run(lr=0.3), Run(lr=1.0)) == ["η = 0.3", "η = 1"]
    assert label(Run(batch_size=None), Run(lr=1.0)) == [
        "η = 0.1, full batch",
        "η = 1, batch 128",
    ]
    assert label(Run(steps=10), Run(steps=20)) == ["steps 10", "steps 20"]
    assert label(Run(), Run()) == ["r0", "r1"]
    assert label(Run(), None) == ["r0", "r1"]


def test_what_a_logarithmic_axis_cannot_show():
    values = np.array([-1.0, 0.0, 2.0, np.inf, np.nan])
    assert drawable(values, log=True)[2] == 2 and np.isnan(drawable(values, log=True)).sum() == 4
    assert np.isnan(drawable(values, log=False)).sum() == 2
