"""A run's copy: wherever a copying is cut short, it opens at a whole checkpoint and goes on."""

import contextlib
import itertools
import re
from pathlib import Path

import numpy as np
import pyarrow.fs as fs
import pytest

from limitcycle.errors import RunError, UserError
from limitcycle.record import Run, RunFolder, folder, load, storage
from limitcycle.record.checkpoints import list_checkpoints
from limitcycle.record.mirror import Mirror, TakenOver, claim, completed, copy_run
from limitcycle.record.storage import Place
from tests.record.test_folder import INFO, epochs, rows, weights


@pytest.fixture(params=["folder", "object store", "other"])
def place(request, tmp_path, monkeypatch):
    """A place for copies, on a file system of each kind."""
    if request.param == "folder":
        return Place.of(str(tmp_path / "storage"))
    memory = fs._MockFileSystem()
    if request.param == "object store":
        monkeypatch.setattr(storage, "_OBJECT_STORES", (memory.type_name,))
        monkeypatch.setattr(storage, "_fill", fill_object)
    return Place(memory, "storage", "memory://storage")


@pytest.fixture(params=[None, 8], autouse=True, ids=["one file", "several files"])
def sharded(request, monkeypatch):
    """Checkpoints of one file, and of several."""
    if request.param is not None:
        monkeypatch.setattr(folder, "FILE_BYTES", request.param)


@pytest.fixture(params=[5, pytest.param(1, marks=pytest.mark.slow)], ids="every {}".format)
def cuts(request):
    """How many changes of files a copying makes before it is cut, one try after the other."""
    return itertools.count(step=request.param)


def fill_object(system: fs.FileSystem, path: str, content: bytes) -> None:
    """As in an object store, where folders need not be made."""
    system.create_dir(path.rpartition("/")[0], recursive=True)
    with system.open_output_stream(path) as stream:
        stream.write(content)


def advance(folder: Path, *ends: int) -> None:
    """Go on with the run in ``folder``: an evaluation every ten steps, checkpoints at ``ends``."""
    with RunFolder(folder, Run(), INFO) as opened:
        checkpoint = opened.resume()
        done = checkpoint.completed if checkpoint else 0
        for end in (end for end in ends if end > done):
            evaluated = epochs(*range(done // 10 * 10 + 10, end + 1, 10))
            opened.save(end, rows(done, end - 1), evaluated, weights(end))
            opened.set_status("running", end)
            done = end


def assert_equal(one: Path, other: Path) -> None:
    first, second = load(one), load(other)
    assert first.steps.equals(second.steps)
    assert first.epochs.equals(second.epochs)
    assert first.status == second.status
    mine, theirs = first.checkpoint(), second.checkpoint()
    assert mine.completed == theirs.completed
    assert all(np.array_equal(mine.arrays[name], theirs.arrays[name]) for name in mine.arrays)


class Cut(BaseException):
    """The machine is gone."""


@contextlib.contextmanager
def cut_after(changes: int):
    """Inside, the machine is gone after so many changes of files; yields what happened."""
    write, remove, happened = Place.write, Place.remove, []

    def change(work, *arguments):
        if len(happened) >= changes:
            raise Cut
        happened.append(arguments)
        work(*arguments)

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Cut):
        patch.setattr(Place, "write", lambda *arguments: change(write, *arguments))
        patch.setattr(
            Place,
            "remove",
            lambda here, names: [change(remove, here, [name]) for name in names],
        )
        yield happened
        happened.append("all of it")


def test_a_copy_is_the_run_and_comes_back(place, tmp_path):
    copy = place.below("copy")
    mine = Mirror(tmp_path / "run", copy, claim(copy))
    for end in (10, 20, 30):
        advance(tmp_path / "run", end)
        mine.push()
    copy_run(copy, Place.local(tmp_path / "back"), {})
    assert_equal(tmp_path / "run", tmp_path / "back")
    kept = [path.name for path in list_checkpoints(tmp_path / "back" / "checkpoints")]
    assert kept == [path.name for path in list_checkpoints(tmp_path / "run" / "checkpoints")]
    assert completed(copy) == 30


def test_only_what_changed_is_copied(place, tmp_path):
    copy = place.below("copy")
    mine = Mirror(tmp_path / "run", copy, claim(copy))
    advance(tmp_path / "run", 10)
    mine.push()
    advance(tmp_path / "run", 20)
    with cut_after(100) as changes:
        mine.push()
    written = [change[1] for change in changes if len(change) == 3]
    kinds = list(dict.fromkeys(re.sub(r"/.*", "", name) for name in written))
    assert kinds == ["epochs", "steps", "checkpoints", "status.json"]
    with cut_after(100) as changes:
        mine.push()
    assert changes == ["all of it"]


@pytest.mark.parametrize("before", [(), (10, 20)])
def test_a_push_cut_anywhere_leaves_a_copy_that_goes_on(before, cuts, place, tmp_path):
    advance(tmp_path / "reference", 50)
    for cut in cuts:
        here, copy = tmp_path / str(cut), place.below(str(cut))
        mine = Mirror(here / "run", copy, claim(copy))
        for end in before:
            advance(here / "run", end)
            mine.push()
        advance(here / "run", 30, 40)
        with cut_after(cut) as changes:
            mine.push()
        other = Mirror(here / "other", copy, claim(copy))
        other.pull()
        assert completed(Place.local(here / "other")) in {max(before, default=0), 30, 40}
        advance(here / "other", 50)
        other.push()
        assert_equal(tmp_path / "reference", here / "other")
        if changes[-1:] == ["all of it"]:
            break
    assert cut >= 5


def test_what_an_abandoned_machine_left_is_replaced_whatever_cuts_that(cuts, place, tmp_path):
    """It wrote beyond the checkpoint from which another goes on, with parts of other lengths."""
    advance(tmp_path / "reference", 10, 22, 34)
    for cut in cuts:
        here, copy = tmp_path / str(cut), place.below(str(cut))
        former = Mirror(here / "former", copy, claim(copy))
        advance(here / "former", 10)
        former.push()
        other = Mirror(here / "other", copy, claim(copy))
        other.pull()
        advance(here / "former", 16, 28)
        copy_run(Place.local(here / "former"), copy, former._known)  # it did not see the claim
        advance(here / "other", 22)
        with cut_after(cut) as changes:
            other.push()
        last = Mirror(here / "last", copy, claim(copy))
        last.pull()
        advance(here / "last", 34)
        last.push()
        assert_equal(tmp_path / "reference", here / "last")
        if changes[-1:] == ["all of it"]:
            break
    assert cut >= 5


def test_whoever_lost_the_claim_changes_nothing(place, tmp_path):
    copy = place.below("copy")
    former = Mirror(tmp_path / "run", copy, claim(copy))
    advance(tmp_path / "run", 10)
    former.push()
    claim(copy)
    advance(tmp_path / "run", 20)
    before = copy.files()
    for lost in (former.push, former.pull):
        with pytest.raises(TakenOver, match="taken over"):
            lost()
    assert copy.files() == before


def test_a_storage_that_is_not_shared_is_told_apart(tmp_path):
    copy = Place.of(str(tmp_path / "mine")).below("copy")
    token = claim(copy)
    elsewhere = Place.of(str(tmp_path / "another disk")).below("copy")
    with pytest.raises(UserError, match="that all machines share"):
        Mirror(tmp_path / "run", elsewhere, token).pull()


def test_other_files_in_a_folder_are_neither_copied_nor_removed(tmp_path):
    copy = Place.of(str(tmp_path / "storage")).below("copy")
    advance(tmp_path / "run", 10)
    (tmp_path / "run" / "report.html").write_text("mine")
    Mirror(tmp_path / "run", copy, claim(copy)).push()
    assert {"report.html", "lock"}.isdisjoint(copy.files())
    copy_run(copy, Place.local(tmp_path / "run"), {})
    assert (tmp_path / "run" / "report.html").read_text() == "mine"
    assert "writer" not in Place.local(tmp_path / "run").files()


def test_a_folder_that_is_its_own_copy_is_left_alone(tmp_path):
    advance(tmp_path / "run", 10)
    before = Place.local(tmp_path / "run").files()
    copy_run(Place.local(tmp_path / "run"), Place.of(str(tmp_path / "run")), {})
    assert Place.local(tmp_path / "run").files() == before


@pytest.mark.parametrize(
    "named",
    ["/odd names/a?b%20c#d", "s3://bucket/runs?region=eu-west-1&scheme=https", "file:///runs/"],
)
def test_the_name_of_a_folder_below_leads_to_it(named):
    """It is all that a node is told."""
    below = Place.of(named).below("copy")
    there = Place.of(below.name)
    assert (there.path, there.system) == (below.path, below.system)
    assert there.path.endswith("/copy")


@pytest.mark.parametrize("uri", ["nonsense://somewhere", "gs:///x"])
def test_a_senseless_uri_is_one_line(uri):
    with pytest.raises(UserError, match="cannot be used") as refused:
        Place.of(uri)
    assert "\n" not in str(refused.value)


def test_a_storage_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as refused:
        Place.of(str(tmp_path / "file" / "storage")).check_writable()
    assert "\n" not in str(refused.value)
    Place.of(str(tmp_path / "new" / "storage")).check_writable()
    assert not any((tmp_path / "new" / "storage").iterdir())


def test_a_storage_that_fails_is_one_line_and_the_next_push_makes_up_for_it(tmp_path, monkeypatch):
    copy = Place.of(str(tmp_path / "storage")).below("copy")
    mine = Mirror(tmp_path / "run", copy, claim(copy))
    advance(tmp_path / "run", 10)
    with monkeypatch.context() as patch:
        patch.setattr(Place, "read", lambda *_: (_ for _ in ()).throw(OSError("no route to host")))
        with pytest.raises(RunError, match="no route to host"):
            mine.push()
    mine.push()
    copy_run(copy, Place.local(tmp_path / "back"), {})
    assert_equal(tmp_path / "run", tmp_path / "back")
