"""TensorBoard's own reader finds in the event files what was measured, and the user's beside it."""

import copy
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

import limitcycle as lc
from limitcycle.cli.main import main
from limitcycle.record.logs import as_table
from limitcycle.record.tensorboard import read_events
from limitcycle.watching import TensorBoard
from tests.watching.loggers.jobs import assert_same, expected, new_job, train

ALL = {"scalars": 0, "tensors": 0}


def read(folder):
    found = EventAccumulator(str(folder), size_guidance=ALL)
    found.Reload()
    return found


def scalars(found, of="limitcycle"):
    return {
        tag: {event.step: event.value for event in found.Scalars(tag)}
        for tag in found.Tags()["scalars"]
        if tag.startswith(of)
    }


def text(found, tag):
    (event,) = found.Tensors(f"{tag}/text_summary")
    return event.step, event.tensor_proto.string_val[0].decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("logs") / "tb"


@pytest.fixture(scope="module")
def watched(folder):
    return train(TensorBoard(folder), 40)


def test_what_was_measured_comes_back(folder, watched):
    wanted = expected(watched)
    assert {"limitcycle/loss", "limitcycle_rotation/one.weight"} < wanted.keys()
    assert_same(scalars(read(folder)), wanted, rtol=1e-6)


def test_settings_symmetries_and_diagnosis_are_text(folder, watched):
    found = read(folder)
    step, settings = text(found, "limitcycle/settings")
    assert step == 0 and "| lr | 0.1 |" in settings and "| optimizer | SGD |" in settings
    assert "| scale_invariant | 2 of 4 tensors |" in settings
    assert str(watched.symmetries) in text(found, "limitcycle/symmetries")[1]
    assert text(found, "limitcycle/diagnosis") == (40, str(watched.diagnosis()))
    assert text(found, "limitcycle/status") == (40, "done")


def test_diagnose_reads_it_back(folder, watched, capsys):
    table, notes = as_table(read_events(folder, "tb"), {})
    assert notes[0].startswith("taken: loss = 'limitcycle/loss', norm = 'limitcycle/norm', lr = ")
    for name in ("loss", "norm", "lr", "weight_decay", "momentum"):
        assert list(table[name]) == pytest.approx(list(watched.steps[name]), rel=1e-6)
    assert main(["diagnose", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"tb: {watched.diagnosis().label}")


def test_the_users_writer_stays_open_and_keeps_what_is_hers(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        w = train(writer, meanwhile=lambda step: writer.add_scalar("train/loss", step, step))
        writer.add_scalar("test/loss", 1.0, 20)
    found = read(tmp_path)
    assert_same(scalars(found), expected(w), rtol=1e-6)
    assert list(scalars(found, "train/loss")["train/loss"]) == list(range(20))
    assert scalars(found, "test/loss") == {"test/loss": {20: 1.0}}
    assert len(list(tmp_path.iterdir())) == 1


def resumed(folder):
    """A job that saves after step 5, dies after 9, and makes steps 6 to 13 from what it saved."""
    job, saved = new_job(), []

    def save(step):
        if step == 5:
            saved.extend(copy.deepcopy(part.state_dict()) for part in job)

    w = train(TensorBoard(folder), 10, job=job, meanwhile=save)
    time.sleep(1 - time.time() % 1)  # files are read in the order of the seconds in their names
    job = new_job()
    for part, state in zip(job, saved, strict=True):
        part.load_state_dict(state)
    return train(TensorBoard(folder), 14, first=6, job=job, state={**w.state_dict(), "step": 6})


def test_a_job_that_goes_on_replaces_what_it_makes_again(tmp_path):
    resumed(tmp_path)
    whole = train(None, 14)
    found = read(tmp_path).Scalars("limitcycle/norm")
    assert [event.step for event in found] == list(range(14))
    norms = [event.value for event in found]
    assert norms == pytest.approx(list(whole.steps["norm"]), rel=1e-6)


def test_going_on_hides_nothing_of_others_in_the_folder(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(20):
            writer.add_scalar("train/loss", step, step)
    resumed(tmp_path)
    assert list(scalars(read(tmp_path), "train")["train/loss"]) == list(range(20))


def test_a_writer_that_fails_is_left_out_and_the_others_go_on(tmp_path, capsys):
    class Full(SummaryWriter):
        def add_scalar(self, *args, **kwargs):
            raise OSError("no space left on device")

    with Full(str(tmp_path / "full")) as writer:
        w = train([writer, TensorBoard(tmp_path / "whole")])
    assert len(w.steps) == 20
    assert_same(scalars(read(tmp_path / "whole")), expected(w), rtol=1e-6)
    said = capsys.readouterr().err
    assert said.count("no space left on device) and is left out; the training goes on") == 1


def test_a_failure_is_told(tmp_path):
    def fails(step):
        raise KeyError("label")

    with pytest.raises(KeyError):
        train(TensorBoard(tmp_path), meanwhile=fails)
    assert text(read(tmp_path), "limitcycle/status") == (1, "failed KeyError: 'label'")


def test_a_watch_that_made_no_step_leaves_nothing(tmp_path):
    model, optimizer = new_job()
    with lc.watch(model, optimizer, sink=TensorBoard(tmp_path / "tb"), quiet=True):
        pass
    assert not (tmp_path / "tb").exists()
