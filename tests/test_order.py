"""The order in which tests run loses none; each worker begins with its share of the longest."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import LONGEST, pytest_collection_modifyitems

ROOT = Path(__file__).parents[1]
NAMES = [*(f"tests/lab/test_more.py::test_{at}" for at in range(95)), *LONGEST]


@pytest.mark.parametrize("workers", [1, 2, 3, 16, 200])
def test_each_part_begins_with_its_share_of_the_longest(workers):
    items = [Item(name) for name in NAMES]
    ordered = list(items)
    config = SimpleNamespace(workerinput={"workercount": workers})
    pytest_collection_modifyitems(config, ordered)
    assert len(ordered) == len(items) and set(ordered) == set(items)
    part = len(ordered) // workers
    if part:
        starts = [ordered[at * part].nodeid for at in range(min(workers, len(LONGEST)))]
        assert starts == list(LONGEST[:workers])


class Item:
    """A test by its name."""

    def __init__(self, nodeid):
        self.nodeid = nodeid


def test_what_takes_longest_is_there():
    for name in LONGEST:
        file, _, test = name.partition("::")
        assert (ROOT / file).exists()
        assert not test or f"def {test}" in (ROOT / file).read_text()
