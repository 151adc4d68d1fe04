"""The house: no import goes in a circle, and analysis does not lie in the pictures."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import limitcycle

ROOT = Path(limitcycle.__file__).parent


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in ROOT.rglob("*.py")}


def imported(name):
    """The modules that a module imports, at any place in it: in functions, for type checkers."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_import_goes_in_a_circle():
    graph = {name: {*imported(name)} & MODULES.keys() - {name} for name in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_what_claims_rest_on_is_no_picture():
    """Of `report` the paper takes what draws, and nothing that judges or measures a run."""
    drawing = {"figure", "legend", "limits", "paint", "panels", "period", "thin", "web"}
    taken = {
        used.removeprefix("limitcycle.report.")
        for name in MODULES
        if name.startswith("limitcycle.paper")
        for used in imported(name)
        if used.startswith("limitcycle.report")
    }
    assert taken <= drawing
    claims = [name for name in MODULES if name.rpartition(".")[2] in ("reading", "claim", "scale")]
    assert not [used for name in claims for used in imported(name) if ".report" in used]
