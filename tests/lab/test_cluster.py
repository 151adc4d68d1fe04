"""A sweep on a cluster ends as it would here, whatever becomes of the nodes."""

import json
import sys

import pytest

from limitcycle.errors import RunError, UserError
from limitcycle.lab import Cluster, Job, Outcome, cluster, remote, sweep_on, train
from limitcycle.record import Run, folder, load
from limitcycle.record.checkpoints import FILE_BYTES, list_checkpoints
from limitcycle.record.mirror import Mirror
from tests.lab.kill_driver import assert_equal
from tests.lab.pretended import ActorDiedError, PretendedRay

SMALL = {"width": 8, "train_size": 300, "test_size": 100}
RUN = Run(**SMALL, lr=0.3, steps=30)
OFTEN = {"checkpoint_seconds": 0.0}  # a checkpoint a block, which is an epoch of three steps


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """Calls `sweep_on` with jobs on a pretended cluster, which is its attribute ``ray``."""
    monkeypatch.setattr(remote, "_TOLD_SECONDS", 0.0)
    monkeypatch.setattr(remote, "_PAUSES", ())

    def call(jobs, lose=lambda _: None, **options):
        call.ray = PretendedRay(lose)
        monkeypatch.setattr(cluster, "_ray", lambda: call.ray)
        options = {"settings": OFTEN, **options}
        return sweep_on(Cluster(str(tmp_path / "storage")), jobs, **options)

    return call


def test_runs_whose_nodes_are_lost_end_as_they_would_here(swept, tmp_path):
    runs = [Run(**SMALL, lr=lr, steps=60, snapshot_every=20) for lr in (0.3, 1.0)]
    jobs = [Job(run, tmp_path / f"cluster-{i}") for i, run in enumerate(runs)]
    losses = {0: iter([5, 0, 8, 1]), 1: iter([3])}
    said = []
    outcomes = swept(
        jobs,
        lose=lambda task: next(losses[task.number], None),
        notice=lambda *notice: said.append(notice),
    )
    assert outcomes == [Outcome("done")] * 2
    for i, run in enumerate(runs):
        train(run, tmp_path / f"here-{i}", threads=1, **OFTEN)
        assert_equal(tmp_path / f"here-{i}", tmp_path / f"cluster-{i}")
        assert len(load(tmp_path / f"cluster-{i}").snapshots) == 3
    assert [text.rsplit(" ", 1)[1] for i, text in said if i == 0] == ["15", "15", "36", "39"]
    assert [text for i, text in said if i == 1] == [
        "its worker was lost (NodeDiedError), another goes on from step 9"
    ]


def test_nothing_is_left_on_the_node(swept, tmp_path, monkeypatch):
    (tmp_path / "node").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "node"))
    lose = iter([2])
    swept([Job(RUN, tmp_path / "run")], lose=lambda _: next(lose, None))
    assert not any((tmp_path / "node").iterdir())


def test_a_run_is_given_up_when_it_does_not_get_on(swept, tmp_path):
    runs = [RUN, Run(**SMALL, lr=1.0, steps=30)]
    jobs = [Job(run, tmp_path / str(i)) for i, run in enumerate(runs)]
    hopeless, well = swept(jobs, lose=lambda task: 0 if task.number == 0 else None)
    assert (hopeless.state, hopeless.code) == ("failed", 1)
    assert "lost 4 times at step 0 (NodeDiedError" in hopeless.problem
    assert well == Outcome("done")
    (now,) = swept(jobs[:1])  # the same command goes on
    assert now == Outcome("done")


def test_a_run_whose_workers_were_lost_does_not_say_that_it_is_running(swept, tmp_path):
    jobs = [Job(RUN, tmp_path / "run")]
    losses = iter([3, 0, 0, 0, 0])
    (outcome,) = swept(jobs, lose=lambda _: next(losses))
    assert outcome.state == "failed" and "at step 9" in outcome.problem
    assert load(jobs[0].out).status == {"state": "failed", "step": 9, "reason": outcome.problem}
    assert swept(jobs) == [Outcome("done")]
    assert load(jobs[0].out).status["state"] == "done"


def test_a_run_that_gets_on_is_given_out_as_often_as_it_takes(swept, tmp_path):
    (outcome,) = swept([Job(RUN, tmp_path / "run")], lose=lambda _: 1)
    assert outcome == Outcome("done")
    assert len(swept.ray.given) == 11  # a checkpoint each, and the end


def test_stopping_leaves_checkpoints_here_and_the_same_command_goes_on(swept, tmp_path):
    jobs = [Job(Run(**SMALL, lr=lr, steps=30), tmp_path / f"{lr:g}") for lr in (0.3, 1.0)]
    asked = iter([False])
    outcomes = swept(jobs, workers=1, lose=lambda _: 4, should_stop=lambda: next(asked, True))
    assert outcomes == [Outcome("stopped")] * 2
    assert load(jobs[0].out).checkpoint().completed == 12
    assert load(jobs[0].out).status["state"] == "stopped"
    told = []
    outcomes = swept(jobs, progress=lambda i, now: told.append((i, now.step)))
    assert outcomes == [Outcome("done")] * 2
    assert min(step for i, step in told if i == 0) == 15
    train(jobs[0].run, tmp_path / "here", threads=1)
    assert_equal(tmp_path / "here", jobs[0].out)


@pytest.mark.parametrize("dead", [False, True])
def test_a_task_stops_when_told_to_or_nobody_is_left_to_tell_it(dead, swept, tmp_path, monkeypatch):
    tell = remote.Mailbox.tell

    def answer(box, letters):
        tell(box, letters)
        if letters[0][0] == "begun" or letters[0][2].step < 15:
            return False
        if dead:
            raise ActorDiedError
        return True

    monkeypatch.setattr(remote.Mailbox, "tell", answer)
    assert swept([Job(RUN, tmp_path / "run")]) == [Outcome("stopped")]
    assert load(tmp_path / "run").checkpoint().completed == 15


def test_the_loss_of_this_machines_own_node_is_said(swept, tmp_path, monkeypatch):
    """Of its tasks nobody says more; what the storage has is brought here."""

    def read(box, *, stop):
        raise ActorDiedError

    with monkeypatch.context() as patch:
        patch.setattr(remote.Mailbox, "read", read)
        outcomes = swept([Job(RUN, tmp_path / "run")], lose=lambda _: 3)
    assert [outcome.code for outcome in outcomes] == [1]
    assert "Ray node is gone" in outcomes[0].problem
    assert load(tmp_path / "run").checkpoint().completed == 9
    assert load(tmp_path / "run").status["reason"] == outcomes[0].problem
    assert swept([Job(RUN, tmp_path / "run")]) == [Outcome("done")]


def test_a_run_begun_here_goes_on_there(swept, tmp_path):
    train(RUN, tmp_path / "run", threads=1, should_stop=iter([False] * 5 + [True]).__next__)
    begun = load(tmp_path / "run").checkpoint().completed
    assert 0 < begun < 30
    told = []
    swept([Job(RUN, tmp_path / "run")], progress=lambda _, now: told.append(now.step))
    assert told[0] == begun + 3
    train(RUN, tmp_path / "here", threads=1)
    assert_equal(tmp_path / "here", tmp_path / "run")


def test_what_is_done_is_not_given_out(swept, tmp_path):
    jobs = [Job(RUN, tmp_path / "run")]
    swept(jobs)
    assert swept(jobs) == [Outcome("done")]
    assert swept.ray.given == []
    # Another folder gets it from its copy.
    assert swept([Job(RUN, tmp_path / "too")]) == [Outcome("done")]
    assert swept.ray.given == []
    assert_equal(tmp_path / "run", tmp_path / "too")


@pytest.mark.parametrize("file_bytes", [FILE_BYTES, 500])
def test_a_run_that_starts_from_another_finds_it_on_the_node(
    file_bytes, swept, tmp_path, monkeypatch
):
    monkeypatch.setattr(folder, "FILE_BYTES", file_bytes)  # large checkpoints are several files
    train(Run(**SMALL, steps=6), tmp_path / "parent", threads=1)
    start = list_checkpoints(tmp_path / "parent" / "checkpoints")[0]
    run = Run(**SMALL, steps=30, lr=0.3, start_from=str(start))
    train(run, tmp_path / "here", threads=1)
    lose = iter([2])
    swept([Job(run, tmp_path / "run")], lose=lambda _: next(lose, None))
    assert_equal(tmp_path / "here", tmp_path / "run")
    assert load(tmp_path / "run").run == run
    there = json.loads((tmp_path / "storage" / run.identity / "run.json").read_text())
    assert there["run"]["start_from"] != run.start_from  # nodes do not share this machine's disk


def test_a_loss_that_is_not_finite_ends_a_run_as_it_does_here(swept, tmp_path):
    run = Run(**SMALL, lr=1e30, norm="none", weight_decay=0.0, steps=500)
    (outcome,) = swept([Job(run, tmp_path / "run")])
    assert (outcome.state, outcome.code) == ("failed", 1)
    with pytest.raises(RunError) as here:
        train(run, tmp_path / "here", threads=1)
    assert outcome.problem == str(here.value).replace(str(tmp_path / "here"), str(tmp_path / "run"))
    assert load(tmp_path / "run").steps.equals(load(tmp_path / "here").steps)
    assert load(tmp_path / "run").status["reason"] == outcome.problem
    assert swept([Job(run, tmp_path / "run")]) == [outcome]
    assert len(swept.ray.given) == 1


def test_data_that_a_node_lacks_are_named_with_the_node(swept, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMITCYCLE_DATA", str(tmp_path))
    monkeypatch.setattr("platform.node", lambda: "node-7")
    (outcome,) = swept([Job(Run(data="cifar10", steps=5), tmp_path / "run")])
    assert (outcome.state, outcome.code) == ("failed", 2)
    assert outcome.problem.startswith(f"on node node-7: LIMITCYCLE_DATA is {tmp_path}")
    assert swept.ray.given[0].data == str(tmp_path)
    assert len(swept.ray.given) == 1


def test_another_version_on_a_node_is_refused(swept, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "__version__", "99")
    (outcome,) = swept([Job(RUN, tmp_path / "run")])
    assert outcome.code == 2
    assert "has limitcycle 99" in outcome.problem


def test_a_storage_that_fails_for_a_while_does_not_end_a_run(swept, tmp_path, monkeypatch):
    push, failing = Mirror.push, iter([False, True, True])

    def sometimes(mirror):
        if next(failing, False):
            raise RunError("storage failed (no route to host)")
        push(mirror)

    monkeypatch.setattr(Mirror, "push", sometimes)
    said = []
    assert swept([Job(RUN, tmp_path / "run")], notice=lambda _, text: said.append(text)) == [
        Outcome("done")
    ]
    assert said == ["storage failed (no route to host)"] * 2


def test_a_second_command_takes_over_from_the_first(swept, tmp_path, monkeypatch):
    """The first one's tasks stop at their next copy: two may not write one run."""
    push = Mirror.push

    def overtaken(mirror):
        (tmp_path / "storage" / RUN.identity / "writer").write_text("the second one's")
        push(mirror)

    monkeypatch.setattr(Mirror, "push", overtaken)
    (outcome,) = swept([Job(RUN, tmp_path / "run")])
    assert outcome.code == 1
    assert "another command has taken over" in outcome.problem


def test_a_run_asks_for_what_it_uses(swept, tmp_path):
    swept([Job(RUN, tmp_path / "run")], threads=3)
    assert (swept.ray.asked["num_cpus"], swept.ray.asked["num_gpus"]) == (3, 0)
    swept([Job(Run(lr=2), tmp_path / "too")], settings={"device": "cuda:7"})
    assert (swept.ray.asked["num_cpus"], swept.ray.asked["num_gpus"]) == (1, 1)


def test_what_one_task_raises_does_not_take_the_others_along(swept, tmp_path):
    jobs = [Job(RUN, tmp_path / "run"), Job(Run(**SMALL, lr=1, steps=30), tmp_path / "too")]
    outcomes = swept(jobs, settings={"no_such_setting": 1})
    assert [outcome.code for outcome in outcomes] == [1, 1]
    assert outcomes[0].problem.startswith("TypeError: ")


def test_a_folder_of_another_run_is_refused_before_anything_is_given_out(swept, tmp_path):
    train(RUN, tmp_path / "run", threads=1)
    other = Run(**SMALL, lr=1.0, steps=30)
    with pytest.raises(UserError, match=r"lr 0\.3 there, 1\.0 here"):
        swept([Job(other, tmp_path / "run")])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        swept([Job(other, tmp_path / "mine")])
    assert swept.ray.given == []


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'limitcycle\[ray\]'"):
        sweep_on(Cluster(str(tmp_path / "storage")), [Job(RUN, tmp_path / "run")])
