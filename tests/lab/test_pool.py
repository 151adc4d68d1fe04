"""Workers that are killed: what they were at is done once more, nothing else is touched."""

import importlib
import os
import signal
import time
from pathlib import Path

import pytest

from limitcycle import forkserver
from limitcycle.lab.pool import Killed, Pool, Task, Withdrawn
from tests.lab import chores


def ended(pool):
    """Task → what came of it, and the kinds of all events in their order."""
    came, kinds = {}, []
    while pool.busy:
        for event in pool.events():
            kinds.append((event.kind, event.task, event.content))
            if event.kind == "ended":
                came[event.task] = event.content
    return came, kinds


def tasks(folder, *deaths):
    return [Task(chores.work, (str(folder), f"{at}", n)) for at, n in enumerate(deaths)]


def test_workers_do_one_task_after_the_other(tmp_path):
    with Pool(tasks(tmp_path, *[0] * 6), 2) as pool:
        came, kinds = ended(pool)
        assert pool.at_once == 2
    assert [came[at][0] for at in range(6)] == list("012345")
    assert len({process for _, process, _ in came.values()}) == 2
    for at in range(6):
        mine = [(kind, content) for kind, task, content in kinds if task == at]
        assert [kind for kind, _ in mine] == ["said", "ended"]
        assert mine[0][1] == f"{at} begins"


def test_what_a_killed_worker_was_at_is_done_once_more_alone_and_last(tmp_path):
    with Pool(tasks(tmp_path, 0, 1, 0, 0, 1, 0), 3) as pool:
        came, kinds = ended(pool)
        assert pool.at_once == 1
    assert [came[at][0] for at in range(6)] == list("012345")
    assert sorted((task, again) for kind, task, again in kinds if kind == "killed") == [
        (1, True),
        (4, True),
    ]
    assert {task for kind, task, _ in kinds[-4:]} == {1, 4}  # said and ended, each
    # A killed worker leaves its mark until it is tried again; whoever else is there is at work.
    assert set(came[1][2]) | set(came[4][2]) <= {"1 at work", "4 at work"}


@pytest.mark.parametrize(("deaths", "at_once"), [(1, 2), (2, 1)])
def test_after_one_accident_two_workers_are_two_again(deaths, at_once, tmp_path):
    with Pool(tasks(tmp_path, 0, deaths, *[0] * 6), 2) as pool:
        came, kinds = ended(pool)
        assert pool.at_once == at_once
    order = [task for kind, task, _ in kinds if kind == "ended"]
    assert order.index(1) < 3  # before those that waited, and after what was under way
    later = {came[at][1] for at in range(3, 8)}
    assert len(later) == at_once


def test_killed_twice_is_given_up_and_the_others_are_done(tmp_path):
    with Pool(tasks(tmp_path, 0, 2, 0), 2) as pool:
        came, kinds = ended(pool)
    assert isinstance(came[1], Killed)
    assert [came[at][0] for at in (0, 2)] == ["0", "2"]
    assert [again for kind, _, again in kinds if kind == "killed"] == [True, False]


def test_where_one_try_is_all_there_is_one(tmp_path):
    with Pool(tasks(tmp_path, 1, 0), 1, tries=1, fresh=True) as pool:
        came, _ = ended(pool)
    assert isinstance(came[0], Killed) and came[1][0] == "1"


def test_fresh_workers_do_one_task_each(tmp_path):
    with Pool(tasks(tmp_path, 0, 0, 0), 1, fresh=True) as pool:
        came, _ = ended(pool)
    assert len({process for _, process, _ in came.values()}) == 3


@pytest.mark.slow
def test_a_killed_server_is_started_again(tmp_path):
    # No task ends its worker: one whose worker was asked of the killed server is lost once, too.
    with Pool(tasks(tmp_path, 0, 0, 0), 2, fresh=True) as pool:
        pool.events()
        first = forkserver._server.process
        first.kill()
        first.wait()
        came, _ = ended(pool)
    assert [came[at][0] for at in range(3)] == list("012")
    assert forkserver._server.process is not first


def test_exceptions_come_back_whole_or_in_words():
    with Pool([Task(chores.fail, ("plain",)), Task(chores.fail, ("odd",))], 1) as pool:
        came, _ = ended(pool)
    assert isinstance(came[0], ValueError) and str(came[0]) == "plain"
    assert "in fail" in came[0].__notes__[0]  # where in the worker
    assert isinstance(came[1], RuntimeError) and str(came[1]) == "TwoArguments: one and two"


def test_stop_is_heard_by_those_at_work_and_the_rest_is_withdrawn(tmp_path):
    with Pool([Task(chores.wait_for_stop, ()), *tasks(tmp_path, 0)], 1) as pool:
        assert pool.events()[0].content == "waiting"
        pool.stop()
        came, _ = ended(pool)
    assert came[0] == "stopped" and isinstance(came[1], Withdrawn)


def test_leaving_early_stops_and_waits():
    with pytest.raises(KeyboardInterrupt), Pool([Task(chores.wait_for_stop, ())], 1) as pool:
        pool.events()
        raise KeyboardInterrupt
    assert not pool.busy


def is_gone(number):
    """Whether a process ends within seconds; one that has ended and is listed still is gone."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("when", ["while stopping", "while leaving"])
def test_a_second_ctrl_c_ends_workers_at_once_that_ask_nothing(when, monkeypatch):
    def press(_seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Pool([Task(chores.never_ask, ())], 1) as pool:
        number = pool.events()[0].content
        if when == "while stopping":
            pool.stop()
        else:
            monkeypatch.setattr(pool, "events", press)
        raise KeyboardInterrupt
    assert is_gone(number)


def test_a_worker_that_is_killed_while_all_stop_says_nothing_of_memory():
    tasks = [Task(chores.never_ask, ()), Task(chores.wait_for_stop, ())]
    with Pool(tasks, 2) as pool:
        number = None
        while number is None:
            said = [each.content for each in pool.events() if each.task == 0]
            number = said[0] if said else None
        pool.stop()
        os.kill(number, signal.SIGKILL)
        came, _ = ended(pool)
        assert pool.at_once == 2
    assert isinstance(came[0], Withdrawn)


def test_sigterm_stops_the_task_of_one_worker_and_that_leaves():
    work = Task(chores.say_number_and_wait_for_stop, ())
    with Pool([work, work], 1) as pool:
        first = pool.events()[0].content
        os.kill(first, signal.SIGTERM)
        (event,) = pool.events()
        assert event == ("ended", 0, "stopped")
        second = pool.events()[0].content
        assert second != first and is_gone(first)
        assert pool.at_once == 1
        pool.stop()
        came, kinds = ended(pool)
    assert came[1] == "stopped" and not [kind for kind, *_ in kinds if kind == "killed"]


@pytest.mark.slow
def test_what_the_server_cannot_import_is_said_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "at_home_only.py").write_text(
        "import os\n"
        f"if os.getpid() != {os.getpid()}: raise ValueError('no device here')\n"
        "def work(line): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("at_home_only")
    forkserver.stop()
    forkserver.start("at_home_only")
    with Pool([Task(module.work, ()), Task(chores.give_up, ())], 1) as pool:
        came, _ = ended(pool)
    assert isinstance(came[0], ValueError) and str(came[0]) == "no device here"
    assert str(came[1]) == "SystemExit: no more"


def test_a_task_finds_the_surroundings_of_whoever_gives_it(tmp_path, monkeypatch):
    def told():
        with Pool([Task(chores.surroundings, ())], 1) as pool:
            return ended(pool)[0][0]

    told()  # the server runs from here on
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOLD", "something")
    assert told() == (str(tmp_path), "something")


@pytest.mark.slow
def test_workers_are_deaf_to_a_terminal_and_we_are_not():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    forkserver.stop()
    with Pool([Task(chores.signals, ())], 1) as pool:
        came, _ = ended(pool)
    assert {signal.SIGINT, signal.SIGHUP} <= came[0] and signal.SIGTERM not in came[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


@pytest.mark.slow
def test_a_forked_child_has_a_server_of_its_own(tmp_path):
    forkserver.start()
    ours = forkserver._server.process.pid
    child = os.fork()
    if child == 0:
        code = 1
        try:
            forkserver.stop()  # ours is not the child's to end
            with Pool(tasks(tmp_path, 0), 1) as pool:
                code = 0 if ended(pool)[0][0][0] == "0" else 2
            forkserver.stop()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert forkserver._server.process.pid == ours and forkserver._server.process.poll() is None
