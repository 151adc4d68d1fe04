"""The site: it builds without a warning, and its reference lists everything public."""

import importlib
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import limitcycle
from limitcycle.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PACKAGES = ("control", "lab", "reading", "record", "report", "symmetry", "theory", "watching")


class Page(HTMLParser):
    """What a page links to, and what in it may be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.anchors.add(named.get("id"))
        for name in ("href", "src"):
            if named.get(name):
                self.links.append(named[name])


@pytest.fixture(scope="module")
def site(once):
    return once("site", build)


def build(out):
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(out)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_its_links_lead_somewhere(site):
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 30
    lost = [
        f"{path.relative_to(site)} → {link}"
        for path, page in pages.items()
        for link in page.links
        if not leads_somewhere(path, link, pages)
    ]
    assert not lost, lost[:20]


def leads_somewhere(path, link, pages):
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages or not parts.fragment:
        return target.exists()
    return unquote(parts.fragment) in pages[target].anchors


@pytest.mark.slow
def test_everything_public_stands_in_the_built_reference(site):
    """As an object that can be linked to, not as a name in some text."""
    text = "".join(path.read_text() for path in (site / "reference").glob("*.html"))
    described = {anchor.rpartition(".")[2] for anchor in Page(text).anchors if anchor}
    public = {name for package in public_packages() for name in package.__all__}
    assert not public - described - {"__version__"}


def public_packages():
    return [limitcycle, *(importlib.import_module(f"limitcycle.{name}") for name in PACKAGES)]


@pytest.mark.parametrize("package", public_packages(), ids=lambda package: package.__name__)
def test_everything_public_has_a_page_and_a_docstring(package):
    page = (REFERENCE / f"{package.__name__.rpartition('.')[2]}.md").read_text()
    assert f".. automodule:: {package.__name__}\n" in page
    left_out = re.search(r":exclude-members: (.*)", page)
    elsewhere = set(left_out[1].split(", ")) if left_out else set()
    assert elsewhere <= {*limitcycle.__all__, "__version__"}, "what a page leaves out is on another"
    for name in package.__all__:
        found = getattr(package, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__doc__, name


def test_the_packages_said_to_be_public_are_those_that_have_a_page():
    said = (REFERENCE / "index.md").read_text()
    paragraph = said[said.index("**Public is") : said.index("All else")]
    named = set(re.findall(r"`(?:limitcycle\.)?([a-z]+)`", paragraph))
    assert named == set(PACKAGES)


def test_every_verb_stands_in_the_table():
    table = (REFERENCE / "command-line.md").read_text()
    for name, verb in VERBS.items():
        extras = ", ".join(f"`{extra}`" for extra in verb.extras) or "–"
        assert f"| `{name}` | {verb.help} | {extras} |" in table
