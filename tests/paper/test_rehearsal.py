"""What is tried before hours of training."""

import math
from pathlib import Path

import pytest

from limitcycle.cli.main import main
from limitcycle.lab import Rehearsal
from limitcycle.paper import Plan, experiments, scale_named
from limitcycle.paper.rehearsal import Workload, passed, rehearsal_markdown, workloads
from limitcycle.record import Run

PAPER = scale_named("paper")
ALIKE = ("lr", "weight_decay", "seed", "steps", "epochs", "eval_every", "snapshot_every")


def test_every_distinct_run_has_one_that_stands_for_it():
    plans = [Plan(figure, PAPER, Path("nowhere"), None) for figure in experiments(())]
    distinct = {runs[0].identity: runs[0] for plan in plans for runs in plan.runs.values()}
    found = workloads(plans)
    assert sum(len(kind.names) for kind in found) == len(distinct)
    others = {tuple(v for k, v in vars(run).items() if k not in ALIKE) for run in distinct.values()}
    stand = {tuple(v for k, v in vars(kind.run).items() if k not in ALIKE) for kind in found}
    assert stand == others and len(found) == len(others)


def test_the_highest_learning_rate_is_tried():
    (kind,) = (
        kind
        for kind in workloads([Plan(experiments((2,))[0], PAPER, Path("nowhere"), None)])
        if len(kind.names) > 5
    )
    assert kind.run.lr == max(PAPER.lrs)


def test_a_loss_that_is_not_finite_did_not_pass():
    assert passed(Rehearsal(Run(), (2.3, 2.2, 2.1), 0.1, 100.0))
    assert not passed(Rehearsal(Run(), (2.3, math.nan, 2.1), 0.1, 100.0))
    assert not passed(Rehearsal(Run(), problem="no such data"))


def test_the_page_has_a_row_a_kind_and_counts_what_failed():
    fine = Workload(Run(), ("figure 2: η = 3", "figure 2: η = 1"))
    broken = Workload(Run(lr=1.0), ("figure 9: full batch",))
    tried = [(fine, Rehearsal(fine.run, (2.3, 2.2, 2.1), 0.5, 800.0))]
    tried.append((broken, Rehearsal(broken.run, problem="out of memory")))
    page = rehearsal_markdown(PAPER, tried, "cpu")
    assert "2 kinds stand for 3 runs; 1 failed" in page
    assert "| figure 2: η = 3 | 1 | 2.3, 2.2, 2.1 | 0.50 | 800 |" in page
    assert "| figure 9: full batch | 0 | FAILED: out of memory |" in page


@pytest.mark.slow
def test_a_rehearsed_figure_leaves_a_page_that_the_index_above_leads_to(tmp_path, capsys):
    results = tmp_path / "results"
    options = ["--scale", "quick", "--out", str(tmp_path / "runs")]
    assert main(["paper", "10", "--rehearse", *options, "--results", str(results / "below")]) == 0
    assert "ok   figure 10" in capsys.readouterr().out
    assert "0 failed" in (results / "below" / "rehearsal.md").read_text()
    assert main(["paper", "7", *options, "--results", str(results)]) == 0
    assert "(below/rehearsal.md)" in (results / "index.md").read_text()
