"""Which distributions come with the base and with each extra, as pyproject.toml says."""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE: list[str] = PROJECT["dependencies"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Canonical name → distribution of all that ``requirements`` bring, as installed here."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    left = [(Requirement(each), "") for each in requirements]
    while left:
        wanted, of_extra = left.pop()
        if wanted.marker and not wanted.marker.evaluate({"extra": of_extra}):
            continue
        name = canonicalize_name(wanted.name)
        for extra in ("", *sorted(wanted.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            if name == PROJECT["name"]:
                left += [(Requirement(each), "") for each in EXTRAS.get(extra, [])]
                continue
            found[name] = distribution(name)
            left += [(Requirement(each), extra) for each in found[name].requires or []]
    return found


def modules(distributions: Iterable[Distribution]) -> set[str]:
    """The names that ``distributions`` are imported by."""
    found: set[str] = set()
    for each in distributions:
        listed = each.read_text("top_level.txt")
        tops = listed.split() if listed else {path.parts[0] for path in each.files or []}
        found |= {top.partition(".")[0] for top in tops if re.fullmatch(r"\w+(\.py|\..*so)?", top)}
    return found - {"__pycache__"}
