"""Results hold one scale, say what it rests on, and survive records nobody thought of."""

import json
import warnings
from dataclasses import replace

import pytest

from limitcycle.errors import RunError, UserError
from limitcycle.lab import train
from limitcycle.paper import Plan, make_entry, open_results, write_results
from limitcycle.paper.claim import Claim, holds_if, judge
from limitcycle.paper.experiment import Experiment
from limitcycle.paper.figures import figure04
from limitcycle.paper.scale import LAPTOP, QUICK
from limitcycle.report.panels import panels_of
from tests.paper.records import calm, evidence

REMARK = "half of it is missing"


def claim(name, check):
    return Claim(name, "It is so.", "nowhere", "anything else", check)


def found(evidence):
    return holds_if(bool(evidence["run"]), "found")


def breaks(evidence):
    return holds_if([][0], "never said")


def draw(evidence):
    return [panels_of([evidence.first("run")], ("loss", "test_error", "norm", "phase"), "epochs")]


def one_run(**settings):
    """A figure of one run, of which one claim is found and another one's check is broken."""
    return Experiment(
        number=1,
        title="A title",
        question="A question?",
        draw=draw,
        runs=lambda scale: {"run": scale.run("convnet-cifar10", **{"steps": 44, **settings})},
        claims=(
            claim("found", found),
            claim("broken", breaks),
            claim("theory", lambda _: holds_if(True, "proved")),
        ),
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """A figure whose run is made, on data that are said not to be whole."""
    made = Plan(one_run(), QUICK, tmp_path_factory.mktemp("paper"), seeds=(0,))
    (run,) = made.runs["run"]
    path = train(run, made.folder(run)).path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "remark": REMARK}))
    return made


def test_a_check_that_breaks_down_is_undecided_and_costs_no_other_claim(plan, tmp_path):
    verdicts = {each["name"]: each for each in make_entry(plan, tmp_path)["claims"]}
    assert verdicts["found"]["outcome"] == "holds"
    assert verdicts["broken"]["outcome"] == "undecided"
    assert "the check failed: IndexError" in verdicts["broken"]["measured"]


def test_warnings_that_were_made_errors_stay_errors():
    def warns(evidence):
        warnings.warn("look here", RuntimeWarning, stacklevel=1)

    with pytest.raises(RuntimeWarning, match="look here"):
        judge(claim("warns", warns), evidence())


def test_verdicts_and_pictures_say_when_their_data_are_not_whole(plan, tmp_path):
    entry = make_entry(plan, tmp_path)
    assert [each["remarks"] for each in entry["claims"]] == [[REMARK], [], []]
    write_results(QUICK, tmp_path)
    assert "digits twin" in (tmp_path / "figure-01.svg").read_text()
    for name in ("figure-01.svg", "claims.md", "claims.json", "index.md", "index.html"):
        assert REMARK in (tmp_path / name).read_text(), name


def test_a_former_picture_does_not_outlive_its_reason(plan, tmp_path):
    make_entry(plan, tmp_path)
    assert (tmp_path / "figure-01.png").exists()
    broken = replace(plan.figure, draw=breaks)
    entry = make_entry(replace(plan, figure=broken), tmp_path)
    assert entry["picture"] is None and "the drawing failed: IndexError" in entry["problem"]
    assert not list(tmp_path.glob("figure-01.[ps][nv]g"))


def test_a_run_that_broke_down_at_once_leaves_a_page(tmp_path):
    figure = one_run(lr=1e30, weight_decay=0.0, norm="none", steps=500)
    plan = Plan(figure, QUICK, tmp_path, seeds=(0,))
    (run,) = plan.runs["run"]
    with pytest.raises(RunError, match="the loss is"):
        train(run, plan.folder(run))
    entry = make_entry(plan, tmp_path / "results")
    assert entry["runs"] == 1 and entry["picture"] == "figure-01.png", entry["problem"]
    assert write_results(QUICK, tmp_path / "results")[-1].exists()


def test_seeds_that_nothing_can_follow_are_named(plan):
    assert plan.later().skipped == ()
    followed = replace(plan, figure=replace(plan.figure, later=lambda scale, parents: {}))
    assert followed.later().skipped[0].startswith("seed 0: no run starts from its others")
    assert followed.later().runs == {}
    unmade = replace(followed, figure=figure04.FIGURE, seeds=(7,))
    assert "has not been made" in unmade.later().skipped[0]


def test_results_of_one_scale_refuse_another(plan, tmp_path):
    make_entry(plan, tmp_path)
    theory = Experiment(2, "T", "Q?", draw=lambda _: draw(evidence(run=calm())))
    with pytest.raises(UserError, match="holds figures at quick scale: choose another --results"):
        make_entry(Plan(theory, LAPTOP, tmp_path), tmp_path)
    with pytest.raises(UserError, match="quick scale"):
        write_results(LAPTOP, tmp_path)
    assert not (tmp_path / "index.md").exists()


def test_results_of_two_scales_lie_below_each_other(plan, tmp_path):
    below = tmp_path / "quick"
    make_entry(plan, below)
    write_results(QUICK, below)
    write_results(LAPTOP, tmp_path)
    assert "[quick scale](quick/index.md): figure 1; 2 hold" in (tmp_path / "index.md").read_text()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*choose another --results"):
        open_results(QUICK, tmp_path / "file" / "results")


def test_pages_name_the_code_that_trained_and_judged(plan, tmp_path):
    entry = make_entry(plan, tmp_path)
    write_results(QUICK, tmp_path)
    index = (tmp_path / "index.md").read_text()
    assert entry["trained_by"] and all(each in index for each in entry["trained_by"])
    assert f"Drawn and judged by {entry['code']}" in index
