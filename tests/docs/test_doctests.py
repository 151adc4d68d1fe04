"""The examples in docstrings say what comes out."""

import doctest
import importlib
import pkgutil

import pytest

import limitcycle

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NAMES = [
    module.name
    for module in pkgutil.walk_packages(limitcycle.__path__, "limitcycle.")
    if not module.name.endswith("__main__")
]
EXAMPLES = [
    pytest.param(test, id=test.name)
    for name in NAMES
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_says_what_comes_out(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    doctest.DocTestRunner(optionflags=FLAGS).run(example, out=said.append)
    assert not said, "".join(said)


def test_there_are_examples():
    assert len(EXAMPLES) >= 9
