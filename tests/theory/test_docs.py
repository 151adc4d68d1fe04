"""docs/theory.md names functions that exist, and tests that exist and try them."""

import ast
import re
from pathlib import Path

from limitcycle import theory

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
TABLE = TEXT.split("## Statement → function → test")[1].split("## Where")[0]
FILES = [ast.parse(path.read_text(encoding="utf-8")) for path in Path(__file__).parent.glob("*.py")]
TESTS = {
    node.name: node
    for file in FILES
    for node in file.body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


def names(text):
    return set(re.findall(r"`(\w+)`", text))


def called(test):
    """What the test calls by name, outside of strings and comments."""
    calls = (node.func for node in ast.walk(TESTS[test]) if isinstance(node, ast.Call))
    return {call.id for call in calls if isinstance(call, ast.Name)}


def test_every_named_test_exists():
    named = {name for name in names(TEXT) if name.startswith("test_")} - {"test_premises"}
    assert len(named) > 40
    assert named <= set(TESTS)


def test_the_table_names_every_public_function():
    named = {name for name in names(TABLE) if not name.startswith("test_")}
    functions = {name for name in theory.__all__ if name[0].islower()}
    assert functions <= named
    assert named - functions <= {"skip", "share"}


def test_the_tests_of_a_row_call_its_functions():
    rows = [line.split(" | ") for line in TABLE.splitlines() if "`test_" in line and "|" in line]
    assert len(rows) > 30
    for _, functions, _, tests in rows:
        tried = set().union(*(called(test) for test in names(tests)))
        assert names(functions) <= tried, f"{names(functions) - tried} in none of {tests}"
