"""Many figures at once: each is drawn and judged in a process of its own."""

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from limitcycle import forkserver
from limitcycle.errors import RunError
from limitcycle.paper.book import make_entry
from limitcycle.paper.pages import Entry
from limitcycle.paper.plan import Plan
from limitcycle.paper.scale import scale_named
from limitcycle.paper.shelf import experiment


def make_entries(plans: Sequence[Plan], folder: Path, workers: int) -> Iterator[Entry]:
    """`make_entry` of figures of the shelf, in their order, as many at once as there are workers.

    Raises:
        UserError: as `make_entry`.
        RunError: a worker was killed.
    """
    count = min(workers, len(plans))
    if count == 1:
        yield from (make_entry(plan, folder) for plan in plans)
        return
    context = forkserver.start(__name__)
    with ProcessPoolExecutor(count, context, _deaf_to_ctrl_c) as pool:
        # An experiment consists of functions, which do not travel; its number does.
        asked = [(plan.figure.number, plan.scale.name, plan.out, plan.seeds) for plan in plans]
        futures = [pool.submit(_make_entry, *each, folder) for each in asked]
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool:
            raise RunError(
                "a worker was killed while it drew (out of memory?): the same command goes on"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _deaf_to_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it


def _make_entry(
    number: int, scale: str, out: Path, seeds: tuple[int, ...] | None, folder: Path
) -> Entry:
    return make_entry(Plan(experiment(number), scale_named(scale), out, seeds), folder)
