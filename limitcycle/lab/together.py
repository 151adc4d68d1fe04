"""Many small runs as one: the same step under ``torch.vmap``, a run a slot.

What shapes a step is common to all (net, data, batch size, …); learning rate, weight decay,
momentum, norm and seed are each run's own. Every run has its own folder, in no way different from
that of a run by itself, and may go on in any company.

The number of slots never changes: where a run has ended, or is ahead of others, its slot computes
on for nobody. So what a run comes to does not depend on how the others fare, and a company that was
killed and goes on ends in the same bits.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitcycle.checks import usable_path
from limitcycle.errors import RunError, UserError
from limitcycle.lab.block import launched
from limitcycle.lab.compiled import worth_compiling
from limitcycle.lab.data import Dataset
from limitcycle.lab.engine import step
from limitcycle.lab.evaluate import TEST_BATCH, evaluate
from limitcycle.lab.feed import batches, batches_together, hyper
from limitcycle.lab.functional import as_vmap_takes_it, differentiate_functionally
from limitcycle.lab.graph import replayed
from limitcycle.lab.how import How
from limitcycle.lab.loop import Advanced, Loop
from limitcycle.lab.member import Member, Progress
from limitcycle.lab.training import check_new, origin, under_way
from limitcycle.record import LoadedRun, Run, RunFolder, load
from limitcycle.record.folder import is_finished

# What may differ from slot to slot; of some only the presence shapes a step.
_OWN = ("lr", "weight_decay", "seed", "schedule", "warmup_steps", "init_scale", "start_from")
_PRESENCE = ("momentum", "fixed_norm", "head_norm")

_MANY = 64  # as one: more gain little (docs/measurements.md)
_ENOUGH = 32  # on a CPU, to be 1.5 times as fast as by themselves

Ended = LoadedRun | UserError | RunError


def shape(run: Run) -> tuple[object, ...]:
    """What runs that are computed together have in common."""
    described = {name: value for name, value in run.to_dict().items() if name not in _OWN}
    for name in _PRESENCE:
        described[name] = described[name] not in (None, 0.0)
    return tuple(described.values())


def companies(runs: Sequence[Run], most: int) -> list[list[int]]:
    """Which of ``runs`` go together, by index: alike in `shape`, at most so many at once."""
    filling: dict[tuple[object, ...], list[int]] = {}
    found: list[list[int]] = []
    for index, run in enumerate(runs):
        company = filling.get(shape(run))
        if company is None or len(company) == most:
            company = filling[shape(run)] = []
            found.append(company)
        company.append(index)
    return found


def most_together(
    runs: Sequence[Run], device: str, workers: int, compile: bool | None = None
) -> int:
    """How many of ``runs`` to train as one where nobody says.

    On CUDA, which one small net leaves idle, many MLPs. On a CPU as many digits MLPs as make equal
    shares for the workers, if these are large enough to be worth it; none of those that are
    compiled (``compile``: as of `limitcycle.lab.train`), which are faster by themselves.
    """
    cuda = device.startswith("cuda")
    if not cuda and compile is not False and (compile or worth_compiling(runs)):
        return 1
    small = all(run.net == "mlp" and (cuda or run.data == "digits") for run in runs)
    if not small or len({shape(run) for run in runs}) != 1:
        return 1
    tasks = -(-len(runs) // _MANY)
    if not cuda:
        tasks += -tasks % workers
    share = -(-len(runs) // tasks)
    return share if cuda or share >= _ENOUGH else 1


def train_together(
    runs: Sequence[Run],
    outs: Sequence[str | Path],
    how: How,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, Progress], None] = lambda _i, _p: None,
    notice: Callable[[int, str], None] = lambda _i, _n: None,
) -> list[Ended]:
    """Train ``runs`` as one, each in its own folder of ``outs``, going on from what is there.

    Args:
        runs: alike in `shape`.
        outs: their folders.
        how: to compute; see `limitcycle.lab.train`.
        should_stop: asked between blocks; True stops all of them with checkpoints.
        progress, notice: told (index of the run, what), as by `limitcycle.lab.train`.

    Returns:
        Of each run, it loaded, or why it ended badly; that does not stop the others.

    Raises:
        UserError: the runs are not alike.
    """
    if len({shape(run) for run in runs}) != 1:
        raise UserError("runs that are trained together may differ in nothing that shapes a step")
    with how.computing(runs[0]) as info, contextlib.ExitStack() as opened:
        members, problems = _enter(runs, outs, how, info, opened, notice)
        slots = {member: slot for slot, member in members.items()}
        if slots:
            loop = Loop(list(slots), Together(runs, slots, how), how.checkpoint_seconds)
            told = lambda member, now: progress(slots[member], now)  # noqa: E731
            loop.go(how.until(should_stop), told)
    problems |= {slot: m.problem for m, slot in slots.items() if m.problem is not None}
    return [problems.get(slot) or load(out) for slot, out in enumerate(outs)]


def _enter(
    runs: Sequence[Run],
    outs: Sequence[str | Path],
    how: How,
    info: Mapping[str, Any],
    opened: contextlib.ExitStack,
    notice: Callable[[int, str], None],
) -> tuple[dict[int, Member], dict[int, UserError | RunError]]:
    """The runs that are not finished, their folders opened, and why some cannot go on, by slot."""
    members: dict[int, Member] = {}
    problems: dict[int, UserError | RunError] = {}
    data: Dataset | None = None
    for slot, (run, out) in enumerate(zip(runs, outs, strict=True)):
        tell = partial(notice, slot)
        with contextlib.ExitStack() as entered:
            try:
                described = {**info, "together": _seat(slot, runs), **origin(run)}
                check_new(run, usable_path(out, "out"), how)
                if is_finished(Path(out), run, described):
                    continue
                folder = RunFolder(Path(out), run, described, tell)
                entered.enter_context(folder)
                member = under_way(run, folder, how, tell, data)
            except (UserError, RunError) as problem:
                problems[slot] = problem
                continue
            if member is not None:
                members[slot], data = member, member.setup.data
                opened.push(entered.pop_all())
    return members, problems


class Together:
    """Computes for as many runs as there are slots.

    Args:
        runs: a run a slot.
        slots: those of them that are under way, and their slots.
        how: to compute.
    """

    def __init__(self, runs: Sequence[Run], slots: Mapping[Member, int], how: How) -> None:
        self._slots, self._count = slots, len(runs)
        self._hyper = {member: hyper(member.run, member.setup) for member in slots}
        self._one_order = _one_order(runs)
        self._setup = next(iter(slots)).setup  # its net is the template of all
        net = as_vmap_takes_it(self._setup.net)
        many = torch.vmap(
            partial(step, net, derivative=differentiate_functionally),
            in_dims=(0, None if self._one_order else 0, 0),
        )
        self._block = replayed(many) if how.graphs else launched(many)

    def advance(self, group: Sequence[Member], end: int) -> list[Advanced]:
        """See `limitcycle.lab.loop.Computer`."""
        seated, (first, *_) = self._seated(group), group
        state = _stacked([member.state for member in seated])
        fixed = _stacked([self._hyper[member] for member in seated])
        lr = np.stack([member.learning_rates(first.done, end) for member in seated], axis=1)
        rates = torch.as_tensor(lr, dtype=state["weights"].dtype, device=state["weights"].device)
        if self._one_order:
            feed = batches(first.run, self._setup, first.done, end)
        else:
            feed = batches_together([m.run for m in seated], self._setup, first.done, end)
        state, rows = self._block(state, fixed, rates, feed)
        values = {name: row.double().cpu().numpy() for name, row in rows.items()}
        return [_slot(self._slots[member], state, {**values, "lr": lr}) for member in group]

    def evaluate(self, group: Sequence[Member]) -> NDArray[np.float64]:
        """See `limitcycle.lab.loop.Computer`."""
        measure = partial(
            evaluate,
            self._setup,
            train_pass=group[0].run.train_pass,
            derivative=differentiate_functionally,
        )
        # No more images at once than a step takes.
        images = min(TEST_BATCH, len(self._setup.data.test_labels))
        at_once = max(1, self._count * self._setup.batch_size // images)
        state = _stacked([member.state for member in self._seated(group)])
        measured = torch.vmap(measure, chunk_size=at_once)(state).cpu().numpy()
        rows: NDArray[np.float64] = measured[[self._slots[member] for member in group]]
        return rows

    def _seated(self, group: Sequence[Member]) -> list[Member]:
        """A member a slot; the first of ``group`` where a slot computes for nobody."""
        by_slot = {self._slots[member]: member for member in group}
        return [by_slot.get(slot, group[0]) for slot in range(self._count)]


def _one_order(runs: Sequence[Run]) -> bool:
    """Whether all of ``runs`` take the same batches: a full one is the same for every seed."""
    shuffled = runs[0].batch_size is not None or runs[0].augment
    return not shuffled or len({run.seed for run in runs}) == 1


def _seat(slot: int, runs: Sequence[Run]) -> str:
    """What of a run's company may change its last bits."""
    order = "one order" if _one_order(runs) else "an order each"
    return f"slot {slot + 1} of {len(runs)}, {order} of the data"


def _stacked(each: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """K dictionaries of tensors as one, with K in front of every shape."""
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}


def _slot(slot: int, state: Mapping[str, Tensor], rows: Mapping[str, NDArray[Any]]) -> Advanced:
    """A slot's share of what all of them came to."""
    own = {name: np.ascontiguousarray(column[:, slot]) for name, column in rows.items()}
    return Advanced({name: tensor[slot] for name, tensor in state.items()}, own)
