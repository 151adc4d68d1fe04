"""The release check finds README's commands, and refuses what is not ready."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def load():
    spec = importlib.util.spec_from_file_location("release", ROOT / "tools" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = load()


def test_readmes_commands_are_found():
    found = release.commands((ROOT / "README.md").read_text(), ("train", "diagnose", "report"))
    assert [command.split()[1] for command in found] == ["train", "diagnose", "report", "report"]
    assert all("#" not in command and "cifar" not in command for command in found)
    assert "--steps 20000" in found[0], "what is shortened is there"


def test_a_version_without_a_dated_section_is_refused():
    assert release.dated("0.2.0", "# Changelog\n\n## 0.2.0 (2026-11-28)\n")
    assert not release.dated("0.2.0", "# Changelog\n\n## 0.2.0\n")
    assert not release.dated("0.2.0", "# Changelog\n\n## 0x2.0 (2026-11-28)\n")
    assert not release.dated("0.2.0", "# Changelog\n\n## Unreleased\n")


def test_a_command_that_fails_ends_the_check():
    with pytest.raises(SystemExit, match="no such verb"):
        release.run("sh", "-c", "echo no such verb >&2; exit 3")


def test_the_table_of_the_bare_check_jumps():
    import io

    import pandas as pd

    import limitcycle as lc

    frame = pd.read_csv(io.StringIO(release.table()))
    assert lc.diagnose(frame, lr=0.3, weight_decay=0.005).rows == 2_000
