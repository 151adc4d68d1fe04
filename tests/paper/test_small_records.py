"""Every figure takes runs that ended at once: a picture or a sentence, never a crash."""

import pytest

from limitcycle.errors import UserError
from limitcycle.paper import experiments
from limitcycle.paper.claim import judge
from limitcycle.paper.scale import QUICK
from limitcycle.report.figure import Figure
from tests.paper.records import Made, calm, evidence


def of_few_rows(run, rows):
    """The record of ``run`` after so many steps and evaluations."""
    whole = calm()
    return Made(run, whole.steps.head(rows), whole.epochs.head(rows), info={"epoch_steps": 11})


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 1, 2, 5])
@pytest.mark.parametrize("figure", experiments(()), ids=lambda figure: f"figure {figure.number}")
def test_runs_of_few_rows_are_drawn_and_judged(figure, rows):
    recorded = {label: of_few_rows(run, rows) for label, run in figure.runs(QUICK).items()}
    found = evidence(**recorded)
    try:
        assert all(isinstance(row, Figure) for row in figure.draw(found.afresh()))
    except UserError as refusal:
        assert len(str(refusal).splitlines()) == 1
    for claim in figure.claims:
        assert "the check failed" not in judge(claim, found.afresh()).measured
