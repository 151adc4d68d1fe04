"""Many figures at once: each is drawn and judged in a process of its own."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from limitcycle import forkserver
from limitcycle.errors import RunError
from limitcycle.lab.pool import Killed, Pool, Task
from limitcycle.paper.all_figures import experiment
from limitcycle.paper.pages import Entry
from limitcycle.paper.plan import Plan
from limitcycle.paper.results import make_entry
from limitcycle.paper.scale import scale_named


def make_entries(plans: Sequence[Plan], folder: Path, workers: int) -> Iterator[Entry | RunError]:
    """`make_entry` of the figures, in their order, as many at once as there are workers.

    A figure whose worker was killed is tried once more; killed again, there is a RunError in its
    place. The others are made all the same.

    Raises:
        UserError, RunError: as `make_entry`.
    """
    count = min(workers, len(plans))
    if count == 1:
        yield from (make_entry(plan, folder) for plan in plans)
        return
    forkserver.start(__name__)
    # An experiment consists of functions, which do not travel; its number does.
    tasks = [
        Task(_draw, (plan.figure.number, plan.scale.name, plan.out, plan.seeds, folder))
        for plan in plans
    ]
    drawn: dict[int, Entry | Exception] = {}
    with Pool(tasks, count) as pool:
        for at, plan in enumerate(plans):
            while at not in drawn:
                drawn |= {each.task: each.content for each in pool.events() if each.kind == "ended"}
            yield _entry(plan, drawn[at])


def _draw(
    _line: forkserver.Line,
    number: int,
    scale: str,
    out: Path,
    seeds: tuple[int, ...] | None,
    folder: Path,
) -> Entry:
    """What a worker does."""
    return make_entry(Plan(experiment(number), scale_named(scale), out, seeds), folder)


def _entry(plan: Plan, came: Entry | Exception) -> Entry | RunError:
    if isinstance(came, Killed):
        return RunError(
            f"figure {plan.figure.number}: its worker was killed twice while it drew, probably "
            "for want of memory: the same command tries again"
        )
    if isinstance(came, Exception):
        raise came
    return came
