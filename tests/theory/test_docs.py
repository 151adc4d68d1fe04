"""docs/theory.md names functions that exist and tests that exist."""

import re
from pathlib import Path

from limitcycle import theory

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")


def test_every_named_test_exists():
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    sources = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")]
    assert len(named) > 40
    assert named <= set(re.findall(r"def (test_\w+)", "\n".join(sources)))


def test_the_table_names_every_public_function():
    table = TEXT.split("## Statement → function → test")[1].split("## Where")[0]
    named = {name for name in re.findall(r"`(\w+)`", table) if not name.startswith("test_")}
    functions = {name for name in theory.__all__ if name[0].islower()}
    assert functions <= named
    assert named - functions <= {"skip", "share"}
