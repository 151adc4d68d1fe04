"""The base alone, with everything else out of reach: what it serves, and what it says instead."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from limitcycle.cli.verbs import VERBS
from limitcycle.errors import UserError
from limitcycle.extras import MODULES, from_extra, missing_extra, require
from tests.installed import uses
from tests.installed.closure import BASE, EXTRAS, ROOT, closure, modules

HERE = Path(__file__).parent


def run_blocked(name, folder, extras=()):
    wanted = [*BASE, *(each for extra in extras for each in EXTRAS[extra])]
    allowed = ",".join(sorted(modules(closure(wanted).values())))
    return subprocess.run(
        [sys.executable, str(HERE / "blocked.py"), allowed, name, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder), "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_the_base_serves_what_it_can_and_says_what_the_rest_needs(tmp_path):
    done = run_blocked("base", tmp_path)
    assert done.returncode == 0 and done.stdout == "used\n", done.stderr[-3000:]


def test_every_extra_has_modules_and_a_use():
    """`limitcycle.extras` knows what pyproject.toml brings, and each extra is tried by itself."""
    assert set(MODULES) == set(EXTRAS) - {"all", "docs", "test"}
    assert {extra for verb in VERBS.values() for extra in verb.extras} <= set(MODULES)
    brought = packages_distributions()
    for extra, names in MODULES.items():
        assert callable(getattr(uses, extra))
        listed = {canonicalize_name(Requirement(each).name) for each in EXTRAS[extra]}
        for name in names:
            assert {canonicalize_name(each) for each in brought[name]} & listed, (extra, name)


@pytest.mark.parametrize("extra", MODULES)
def test_an_import_that_fails_for_an_extra_is_one_line(extra):
    line = rf"it needs x: pip install 'limitcycle\[{extra}\]'"
    with pytest.raises(UserError, match=rf"^{line}$"), from_extra(extra, "it needs x"):
        raise ModuleNotFoundError("No module named x.y", name=MODULES[extra][0] + ".y")
    with pytest.raises(UserError, match=rf"^{line} \(broken\)$"), from_extra(extra, "it needs x"):
        raise ImportError("broken")


def test_a_fault_of_our_own_is_not_laid_on_an_extra():
    with pytest.raises(ImportError, match="typo"), from_extra("lab", "it needs x"):
        raise ImportError("typo", name="limitcycle.lab.typo")


def test_several_extras_are_named_at_once(monkeypatch):
    assert str(missing_extra("x", "lab", "report")) == "x: pip install 'limitcycle[lab,report]'"
    require("demo", "lab", "report")
    monkeypatch.setattr("limitcycle.extras.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^demo needs the extras lab and report: pip install"):
        require("demo", "lab", "report")
