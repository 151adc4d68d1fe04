"""`make bench`: what it writes, that it goes on after a failure, and that the docs say the same."""

import json
import sys
from types import ModuleType

import pytest

from benchmarks import bench
from benchmarks.common import Timed, compared


def at_once(function, *arguments):
    return function(*arguments)


@pytest.fixture
def parts(monkeypatch):
    """Two parts that measure nothing, and one that breaks down."""

    def part(name, rows):
        module = ModuleType(f"benchmarks.{name}")
        module.rows = rows
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return bench.Part(name, {"seconds": 2.0})

    def row(seconds, **bounds):
        return [compared("it", Timed("a", seconds), Timed("b", 1.0), **bounds)]

    def breaks(seconds):
        raise RuntimeError("no such machine")

    return {
        "kept": part("kept", lambda seconds: row(seconds, at_most=3.0)),
        "missed": part("missed", lambda seconds: row(seconds, at_most=1.0)),
        "broken": part("broken", breaks),
    }


def test_parts_are_added_to_what_is_there(tmp_path, parts):
    out = tmp_path / "bench.json"
    assert bench.measure(["kept"], out, parts, at_once)
    first = json.loads(out.read_text())["kept"]
    assert not bench.measure(["missed"], out, parts, at_once)
    content = json.loads(out.read_text())
    assert content["kept"] == first
    assert content["missed"]["rows"][0]["ok"] is False
    assert "torch" in first["machine"]


def test_a_part_that_breaks_down_costs_the_others_nothing(tmp_path, parts, capsys):
    out = tmp_path / "bench.json"
    assert not bench.measure(["broken", "kept"], out, parts, at_once)
    assert list(json.loads(out.read_text())) == ["kept"]
    assert "no such machine" in capsys.readouterr().err


def test_the_table_says_what_was_missed_and_where_it_was_measured(tmp_path, parts):
    out = tmp_path / "bench.json"
    bench.measure(["kept", "missed"], out, parts, at_once)
    said = bench.in_words(bench.read(out))
    assert said.count("| it |") == 2
    assert "Missed: it." in said
    assert said.count("Measured on:") == 1


def test_publishing_replaces_the_table_only(tmp_path, parts):
    out = tmp_path / "bench.json"
    bench.measure(["kept"], out, parts, at_once)
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n")
    bench.publish(bench.read(out), tmp_path)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert bench.in_words(bench.read(out)) in text


def test_the_page_shows_what_was_measured():
    measured = bench.in_words(bench.read(bench.DOCS / "bench.json"))
    assert measured in (bench.DOCS / "performance.md").read_text()


def test_every_part_has_its_module():
    for part in bench.PARTS.values():
        assert (bench.DOCS.parent / "benchmarks" / f"{part.module}.py").exists()
