"""One reading behind every door: table, run, folder and watch say the same."""

import dataclasses
import json
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import limitcycle as lc
from limitcycle.cli.main import main
from limitcycle.errors import UserError
from limitcycle.reading import LABELS, Advice, Diagnosis, RunData, advising, diagnose, look, words
from limitcycle.reading.advice import AdviceKind
from limitcycle.reading.diagnosis import DIAGNOSIS_VERSION
from limitcycle.reading.kept import DIAGNOSIS_FILE
from limitcycle.reading.rounding import decay_rounding
from limitcycle.record import Run, RunFolder
from tests.reading.series import CLEAN, FAST, OSCILLATORS, quiet
from tests.watching import loops
from tests.watching.test_folder import train

SETTINGS = {"lr": 0.1, "weight_decay": 0.01}


def same(one, other):
    """The same to the last digit and letter."""
    assert json.dumps(one.to_dict()) == json.dumps(other.to_dict())


def written(path, older=0):
    """A run of the lab with momentum whose jumps are to be forecast, written in two parts.

    The first ``older`` of them are without the momentum, as a version before wrote them.
    """
    table, _ = FAST.run()
    run = Run(**SETTINGS, momentum=0.9, steps=len(table))
    table = table.assign(**SETTINGS, effective_lr=0.1 / table["norm"] ** 2, momentum=0.9)
    with RunFolder(path, run, {}) as folder:
        for number, part in enumerate((table.iloc[:3000], table.iloc[3000:])):
            known = part.drop(columns="momentum") if number < older else part
            folder.append(known, pd.DataFrame())
        folder.set_status("done", len(table))
    return path


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """The folder of such a run, as it is written now."""
    return written(tmp_path_factory.mktemp("moving") / "run")


@pytest.mark.parametrize("older", [False, True])
def test_a_runs_table_knows_its_momentum(moving, tmp_path, capsys, older):
    path = written(tmp_path / "run", older=2) if older else moving
    run = lc.load(path)
    of_table, of_run = diagnose(run.steps), diagnose(run)
    assert of_table.forecast.median == pytest.approx(of_run.forecast.median, rel=1e-5)
    assert of_table.notes == of_run.notes == ()
    assert of_table.text == of_run.text
    same(of_run, diagnose(path))
    same(of_run, diagnose(str(path)))
    assert main(["diagnose", str(path)]) == 0
    assert f"run: {of_run.text}" in capsys.readouterr().out
    assert main(["diagnose", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": of_run.to_dict()}


@pytest.mark.parametrize("parts", [1, 2])
def test_rows_of_a_version_that_did_not_record_it_have_their_momentum(moving, tmp_path, parts):
    run = lc.load(written(tmp_path / "run", older=parts))
    pd.testing.assert_frame_equal(run.steps, lc.load(moving).steps)
    assert run.description.identity == lc.load(moving).description.identity


def test_a_table_says_what_it_assumed_where_that_changes_something():
    table = FAST.run()[0].assign(**SETTINGS)
    assumed = diagnose(table)
    assert "no momentum is known" in " ".join(assumed.notes)
    assert f"Note: {assumed.notes[0]}." in str(assumed)
    assert diagnose(table, momentum=0.0).notes == ()
    assert diagnose(table.assign(momentum=0.0)).notes == ()
    assert diagnose(quiet()).notes == ()  # nothing is reckoned with weight decay there


def test_what_is_said_on_closing_can_be_read_tomorrow(tmp_path, capsys):
    model = loops.net()
    some = {"params": [model.one.weight], "weight_decay": 0.2}
    optimizer = torch.optim.SGD([some, {"params": [model.two.weight]}], lr=0.1)
    watch, _, _ = train(tmp_path / "run", 40, model, optimizer)
    watch.close()
    said = watch.diagnosis()
    assert said.notes and said.rotation > 0 and said.advice.text in str(said)
    same(said, diagnose(watch))
    same(said, diagnose(tmp_path / "run"))
    capsys.readouterr()
    assert main(["diagnose", str(tmp_path / "run")]) == 0
    assert str(said) in capsys.readouterr().out


@pytest.mark.parametrize("how", ["absent", "older", "damaged", "behind"])
@pytest.mark.parametrize(
    "make",
    [
        lambda model: torch.optim.SGD(loops.two_groups(model).param_groups, lr=0.1, momentum=0.9),
        lambda model: torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1),
        lambda model: torch.optim.Rprop(model.parameters(), lr=0.001),
    ],
    ids=["groups", "adamw", "unknown"],
)
def test_a_reading_that_is_not_kept_is_made_again_from_the_record(tmp_path, make, how):
    model = loops.net()
    watch, _, _ = train(tmp_path / "run", 35, model, make(model))
    watch.close()
    file = tmp_path / "run" / DIAGNOSIS_FILE
    content = json.loads(file.read_text())
    if how == "absent":
        file.unlink()
    elif how == "damaged":
        file.write_text('{"format_version": 1}')
    elif how == "older":
        file.write_text(json.dumps({**content, "format_version": 0, "headline": "old"}))
    else:
        file.write_text(json.dumps({**content, "rows": 34, "headline": "old"}))
    again, said = diagnose(tmp_path / "run"), watch.diagnosis()
    assert (again.label, again.headline, again.notes) == (said.label, said.headline, said.notes)
    assert str(again) == str(said)


def test_a_saved_state_leaves_its_reading(tmp_path):
    watch, _, _ = train(tmp_path / "run", 35)
    watch.state_dict()
    kept = Diagnosis.from_dict(json.loads((tmp_path / "run" / DIAGNOSIS_FILE).read_text()))
    assert kept.rows == 35
    watch.close()


def test_what_is_asked_for_is_not_what_was_kept(tmp_path):
    watch, _, _ = train(tmp_path / "run", 40)
    watch.close()
    assert diagnose(tmp_path / "run", stuck_above=0.0).descent.limit == 0


class Exported:
    """A frame of another library, seen through one protocol."""

    def __init__(self, table, name):
        setattr(self, name, getattr(table, name))


@pytest.mark.parametrize("protocol", ["__arrow_c_stream__", "to_pandas"])
def test_frames_of_other_libraries_are_read_by_their_protocols(protocol):
    frame = CLEAN.run()[0]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    same(diagnose(Exported(table, protocol)), diagnose(frame))


def test_a_frame_that_cannot_be_exported_is_refused_in_one_line():
    class Broken:
        def to_pandas(self):
            raise TypeError("no such\ntype")

    with pytest.raises(UserError, match=r"cannot be read \(no such\)"):
        diagnose(Broken())


CASES = {
    **{name: oscillator.run()[0] for name, oscillator in OSCILLATORS.items()},
    "one jump": dataclasses.replace(CLEAN, periods=1).run()[0],
    "equilibrium": quiet(),
    "stuck": quiet(loss=(2.3, 1.0)),
    "converging": quiet(fall=1.0),
    "diverged": quiet().assign(loss=np.inf),
    "unknown": quiet(rows=12),
    "empty": quiet().head(0),
    "odd steps": CLEAN.run()[0].assign(step=lambda table: table["step"] + 0.5),
    "far away": CLEAN.run()[0].assign(norm=lambda table: table["norm"] * 1e200),
}


@pytest.mark.parametrize("case", CASES)
def test_a_diagnosis_comes_back_from_json_as_it_was(case):
    table = CASES[case].assign(epoch=lambda table: table["step"] // 100)
    found = diagnose(RunData(table, dtypes={"bfloat16": 1}, **SETTINGS))
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    again = Diagnosis.from_dict(stored)
    assert again.to_dict() == found.to_dict()
    for each in dataclasses.fields(found):
        one, other = getattr(found, each.name), getattr(again, each.name)
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other, check_dtype=len(one) > 0)
        else:
            assert repr(one) == repr(other), each.name
    assert words.numbers(again) == words.numbers(found)


def test_another_versions_diagnosis_is_refused():
    content = diagnose(quiet()).to_dict()
    with pytest.raises(UserError, match="another version"):
        Diagnosis.from_dict({**content, "format_version": DIAGNOSIS_VERSION + 1})
    with pytest.raises(UserError, match="no stored diagnosis"):
        Diagnosis.from_dict({"format_version": DIAGNOSIS_VERSION})


def test_every_label_has_its_look_and_every_advice_its_words():
    assert len({look(label).letter for label in LABELS}) == len(LABELS)
    assert len({look(label).colour for label in LABELS}) == len(LABELS)
    for kind in set(get_args(AdviceKind)) - {"unjudged"}:  # there, nothing is advised
        assert advising.advice(Advice(kind, lost=decay_rounding("bfloat16", 1e-4)))


@pytest.mark.parametrize("speak", [words.headline, words.reason, words.numbers])
def test_a_label_that_nobody_wrote_words_for_is_an_error(speak):
    found = dataclasses.replace(diagnose(quiet()), label="dancing")
    with pytest.raises(AssertionError, match="dancing"):
        speak(found)


@pytest.mark.parametrize(
    "rotation",
    [
        "fast",
        pd.array([None] * 5000, dtype="Float64"),
        np.full(5000, np.nan),
        np.full(5000, 1j),
        pd.Timestamp("2024-01-01"),
    ],
    ids=["text", "nothing", "nan", "complex", "time"],
)
def test_a_foreign_column_of_that_name_is_no_rotation(rotation):
    found = diagnose(quiet().assign(rotation=rotation))
    assert np.isnan(found.rotation) and "The weights turn" not in str(found)


def test_rotation_is_that_of_the_last_tenth():
    found = diagnose(quiet().assign(rotation=np.linspace(0, 1, 5000)))
    assert found.rotation == pytest.approx(0.95, abs=1e-3)
    assert "The weights turn by 0.95 rad a step." in str(found)


def test_a_run_recorded_at_every_step_is_not_told_to_log_more_often(tmp_path):
    table = quiet(wander=0.3)
    with RunFolder(tmp_path / "run", Run(steps=len(table)), {}) as folder:
        folder.append(table, pd.DataFrame())
        folder.set_status("done", len(table))
    seldom = "log more often"
    assert any(seldom in note for note in diagnose(table).notes)
    assert not any(seldom in note for note in diagnose(lc.load(tmp_path / "run")).notes)
