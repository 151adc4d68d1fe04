"""What all tests share: a thread a process, one cache for the session, the way to the real data."""

import os

# Tests run side by side, and the nets in them are so small that threads only get in each other's
# way. It has to be said before torch is imported; whoever says another number is heard.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

Make = Callable[[Path], object]

# The beginnings of the names of those that take longest, the longest first.
LONGEST = (
    "tests/cli/test_paper.py::test_every_figure",
    "tests/cli/test_paper.py::test_a_figure_made_again",
    "tests/installed/test_extras.py",
    "tests/lab/test_phenomenon.py::test_convnet",
    "tests/symmetry/test_cost.py::test_large",
    "tests/lab/test_phenomenon.py::test_resnet",
    "tests/lab/test_phenomenon.py::test_demonstration",
    "tests/installed/test_pythons.py::test_all",
    "tests/lab/test_ray.py",
    "tests/lab/test_kills.py",
    "tests/benchmarks/test_advice.py",
    "tests/benchmarks/test_kills.py",
    "tests/cli/test_fuzz.py",
    "tests/fuzz",
    "tests/cli/test_signals.py",
)


@pytest.hookimpl(trylast=True)  # when it is known which tests are asked for
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes longest first, so that no worker is left alone with it in the end.

    Workers that run side by side begin with equal parts of the list and then take over from each
    other; so each part begins with its share.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    first: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for at, name in enumerate(LONGEST):
        first[at % workers] += [item for item in items if item.nodeid.startswith(name)]
    early = {item for share in first for item in share}
    rest = [item for item in items if item not in early]
    part = len(items) // workers
    ordered: list[pytest.Item] = []
    for share in first:
        room = max(part - len(share), 0)
        ordered += share + rest[:room]
        rest = rest[room:]
    items[:] = ordered + rest


@pytest.fixture(scope="session", autouse=True)
def _one_cache(tmp_path_factory: pytest.TempPathFactory):
    """Nothing a test finds or decodes lands in the user's cache."""
    former = os.environ.get("LIMITCYCLE_CACHE")
    os.environ["LIMITCYCLE_CACHE"] = former or str(_shared(tmp_path_factory) / "cache")
    yield
    if former is None:
        del os.environ["LIMITCYCLE_CACHE"]


@pytest.fixture(scope="session", autouse=True)
def _compiled_only_where_asked():
    """Runs that are to be stopped or killed would wait for a compiler first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMITCYCLE_COMPILE", "0")
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk():
    """Only a power cut would tell what was flushed from what was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session: the same one for all workers that run side by side."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Make], Path]:
    """``once(name, make)``: a folder as ``make`` filled it, for all workers that ask for it.

    What takes minutes is made by the first that needs it; the others wait.
    """

    def made(name: str, make: Make) -> Path:
        folder = _shared(tmp_path_factory) / "once" / name
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.with_suffix(".made").exists():
                make(folder)
                folder.with_suffix(".made").touch()
        return folder

    return made


@pytest.fixture(scope="session")
def cifar() -> Path:
    """The folder that holds cifar10/ and cifar100/, or a skip."""
    root = os.environ.get("LIMITCYCLE_DATA")
    if not root or not (Path(root) / "cifar10").is_dir():
        pytest.skip("LIMITCYCLE_DATA does not lead to CIFAR")
    return Path(root)
