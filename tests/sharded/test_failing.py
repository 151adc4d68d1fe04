"""Whatever happens to one process, none waits for ever, and the folder is whole."""

from pathlib import Path

import pytest

import limitcycle as lc
from tests.sharded import failing
from tests.sharded.processes import run, start


@pytest.mark.slow
def test_a_watch_that_ends_on_one_process_ends_no_training(tmp_path: Path) -> None:
    answers = run(failing.goes_on, 3, tmp_path)
    assert {name: rows for name, (rows, _) in answers[0].items()} == {
        "last closes": failing.AT + 1,
        "first closes": 8,
        "fails": failing.AT + 1,
        "watches alone": 0,
    }
    for answer in answers:
        assert all(seconds < 30 for _, seconds in answer.values())
    assert len(lc.load(tmp_path / f"closes{2}").steps) == failing.AT + 1


@pytest.mark.slow
@pytest.mark.parametrize("work", [failing.raises, failing.is_killed])
def test_a_process_that_ends_leaves_a_whole_folder(tmp_path: Path, work: object) -> None:
    workers = start(work, 2, tmp_path)
    said = [worker.communicate(timeout=60) for worker in workers]
    assert all(worker.returncode for worker in workers)
    saved = lc.load(tmp_path / "run")
    assert saved.status["state"] == "failed"
    if work is failing.raises:
        assert len(saved.steps) == failing.AT + 1
    else:
        assert len(saved.steps) == 8
        assert "process 1 did not make them" in said[0][1]


@pytest.mark.slow
def test_refusals_name_what_and_the_way_out(tmp_path: Path) -> None:
    for answer in run(failing.refusals, 2, tmp_path):
        assert "use_orig_params=True, or shard with fully_shard" in answer["flat"]
        assert "hybrid sharding cannot be watched" in answer["hybrid"]
        assert "two.weight is not the same on processes 0 and 1" in answer["control"]
        assert "find its symmetries before fully_shard" in answer["search"]
        assert answer["differ"][1] == 0
