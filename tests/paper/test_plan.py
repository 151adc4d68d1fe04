"""Plans know what is missing, share runs, go on, and make runs that start from others."""

from dataclasses import replace

import pytest

from limitcycle.errors import UserError
from limitcycle.lab import train
from limitcycle.paper import NUMBERS, SCALES, Plan, cost, experiments, missing, scale_named
from limitcycle.paper.claim import Claim, holds_if
from limitcycle.paper.evidence import MissingError
from limitcycle.paper.experiment import Experiment
from limitcycle.paper.results import entries, make_entry, write_results
from limitcycle.paper.scale import QUICK
from limitcycle.report.panels import panels_of

STEPS = 66


def runs(scale):
    return {
        f"η = {lr:g}": scale.run("convnet-cifar10", lr=lr, steps=STEPS, snapshot_every=22)
        for lr in (0.1, 0.3)
    }


def later(scale, parents):
    start = parents["η = 0.3"].source.snapshots[1]
    return {"held": scale.run("convnet-cifar10", lr=0.3, steps=STEPS, start_from=str(start))}


def draw(evidence):
    names = ("η = 0.1", "η = 0.3", "held")
    return [panels_of([evidence.first(name) for name in names], ("loss", "norm"))]


def check(evidence):
    return holds_if(len(evidence["held"]) == 2, "two <b>seeds</b> | found")


CLAIM = Claim("seeds", "There are two seeds.", "nowhere", "another number", check, pooled=True)
FIGURE = Experiment(1, "A title", "A question?", draw, runs, later, (CLAIM,), ("a choice",))


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """A small figure with its runs made, in two goes."""
    made = Plan(FIGURE, QUICK, tmp_path_factory.mktemp("paper"), seeds=(0, 1))
    first = missing([made])
    assert len(first) == 4
    train(first[0], made.folder(first[0]))
    assert len(missing([made])) == 3
    for run in first[1:]:
        train(run, made.folder(run))
    for run in missing([made], later=True):
        train(run, made.folder(run))
    return made


def test_nothing_is_missing_when_all_is_done(plan):
    assert missing([plan]) == []
    assert missing([plan], later=True) == []


def test_a_run_that_two_figures_describe_is_made_once(plan, tmp_path):
    twice = [Plan(FIGURE, QUICK, tmp_path), Plan(replace(FIGURE, number=2), QUICK, tmp_path)]
    assert len(missing(twice)) == len(missing(twice[:1])) == 2 * len(FIGURE.seeds)


def test_later_runs_start_from_their_own_seeds_parent(plan):
    starts = [run.start_from for run in plan.later().runs["held"]]
    parents = [str(plan.folder(run)) for run in plan.runs["η = 0.3"]]
    assert [start.startswith(parent) for start, parent in zip(starts, parents, strict=True)] == [
        True,
        True,
    ]
    assert [run.seed for run in plan.later().runs["held"]] == [0, 1]


def test_a_stopped_run_counts_as_missing(tmp_path):
    plan = Plan(FIGURE, QUICK, tmp_path, seeds=(0,))
    run = missing([plan])[0]
    train(run, plan.folder(run), should_stop=lambda: True)
    assert run in missing([plan])
    with pytest.raises(MissingError, match="have not been made"):
        plan.evidence()["η = 0.1"]


def test_the_same_records_give_the_same_files(plan, tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        make_entry(plan, folder)
        write_results(QUICK, folder)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {"figure-01.png", "figure-01.svg", "claims.json", "index.md", "index.html"} < set(names)
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_pages_hold_the_verdict_and_escape_texts(plan, tmp_path):
    entry = make_entry(plan, tmp_path)
    assert entry["claims"][0]["outcome"] == "holds"
    assert (entry["runs"], entry["seeds"]) == (6, 2)
    write_results(QUICK, tmp_path)
    assert "two &lt;b&gt;seeds&lt;/b&gt;" in (tmp_path / "index.html").read_text()
    assert "two <b>seeds</b> \\| found" in (tmp_path / "claims.md").read_text()
    assert [found["number"] for found in entries(tmp_path)] == [1]


def test_without_runs_there_is_a_reason_instead_of_a_picture(tmp_path):
    entry = make_entry(Plan(FIGURE, QUICK, tmp_path), tmp_path)
    assert entry["picture"] is None
    assert "have not been made" in entry["problem"]
    assert entry["claims"][0]["outcome"] == "undecided"


def test_unknown_figures_and_scales_are_refused():
    with pytest.raises(UserError, match="figures 1 to 19, not 20"):
        experiments((20,))
    with pytest.raises(UserError, match="quick, laptop, workstation, paper"):
        scale_named("huge")


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_every_figure_describes_its_runs_and_their_cost(scale, tmp_path):
    plans = [Plan(figure, scale, tmp_path) for figure in experiments()]
    assert [plan.figure.number for plan in plans] == list(NUMBERS)
    for plan in plans:
        for found in plan.runs.values():
            assert all(scale.seconds(run) > 0 for run in found)
    assert cost(scale, missing(plans), workers=2) > 0


def test_claims_have_names_of_their_own_and_say_what_refutes_them():
    claims = [claim for figure in experiments() for claim in figure.claims]
    names = [claim.name for claim in claims]
    assert len(set(names)) == len(names)
    assert all(claim.refuted and claim.source and claim.statement.endswith(".") for claim in claims)
