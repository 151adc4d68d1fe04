"""The verdict on a recorded run: what its description and its folder add to its step table."""

from limitcycle.reading.decayed import decayed
from limitcycle.reading.judge import diagnose
from limitcycle.reading.verdict import Verdict
from limitcycle.record import LoadedRun, Run


def diagnose_run(run: LoadedRun) -> Verdict:
    """The verdict on a recorded run, from its step table; see `diagnose`."""
    described = run.run  # None where the run was watched: then the table says all
    steps = run.steps if described else decayed(run.steps, run.groups)[0]
    return diagnose(
        steps,
        momentum=described.momentum if described else None,
        status=run.status,
        batch_size=_batch_size(described),
        train_size=run.info.get("train_size"),
    )


def _batch_size(described: Run | None) -> int | None:
    size = described.batch_size if described else None
    return size if isinstance(size, int) else None
