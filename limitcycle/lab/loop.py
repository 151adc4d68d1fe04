"""The loop: blocks of steps without a look from the host, and between them the record.

A block ends where something has to be done: an epoch's end, an evaluation, a snapshot, or after two
seconds. Where it ends changes nothing in the results. What computes a block is somebody else's:
`limitcycle.lab.training.Alone` for one run, `limitcycle.lab.together.Together` for many.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from limitcycle.lab import machine
from limitcycle.lab.functional import State
from limitcycle.lab.member import Member, Progress, StepRows

_BLOCK_SECONDS = 2.0


class Advanced(NamedTuple):
    """A member's state at the end of a block, and the block's rows: the engine's and ``lr``."""

    state: State
    rows: StepRows


class Computer(Protocol):
    """What computes for a group of members that have made equally many updates."""

    def advance(self, group: Sequence[Member], end: int) -> list[Advanced]:
        """The updates from here to ``end``; nothing is read back to the host on the way."""
        ...

    def evaluate(self, group: Sequence[Member]) -> NDArray[np.float64]:
        """A row of `limitcycle.lab.evaluate.evaluate` a member."""
        ...


class Loop:
    """Trains runs to the end, or until told to stop.

    Those that are behind go first; where they come up with others, all go on together.

    Args:
        members: the runs, most often one; alike in everything that shapes a step, and in what is
            done between steps.
        computer: what computes for them.
        checkpoint_seconds: time between checkpoints.
    """

    def __init__(
        self, members: Sequence[Member], computer: Computer, checkpoint_seconds: float
    ) -> None:
        self._members, self._computer = members, computer
        self._checkpoint_seconds = checkpoint_seconds
        # Steps a second, first guess: only the length of the first block.
        self._pace = 64.0 / max(1, len(members))

    def go(self, stop: Callable[[], bool], progress: Callable[[Member, Progress], None]) -> None:
        """Train; what ended a member badly is afterwards its ``problem``."""
        no_memory = False
        try:
            self._train(stop, progress)
            _each(self._members, Member.finish)
        except (RuntimeError, MemoryError) as problem:
            if not machine.out_of_memory(problem):
                raise
            no_memory = True  # said below, where the frames that hold the memory are gone
        if no_memory:
            _each(self._members, Member.fail_for_memory)

    def _train(
        self, stop: Callable[[], bool], progress: Callable[[Member, Progress], None]
    ) -> None:
        saved = time.monotonic()
        _each(self._members, Member.begin)
        try:
            self._evaluate([m for m in self._members if m.done == 0 and m.problem is None])
            while (group := self._next()) and not stop():
                group = self._advance(group)
                self._evaluate([member for member in group if member.evaluation_due])
                _each(group, Member.keep_weights)
                if time.monotonic() - saved >= self._checkpoint_seconds:
                    _each(self._members, Member.save)
                    saved = time.monotonic()
                for member in group:
                    progress(member, member.progress)
        except KeyboardInterrupt:
            # It may have come in the middle of a block: the last checkpoint is what is sound.
            _each(self._members, Member.interrupt)
            raise

    def _next(self) -> list[Member]:
        """Those that have made the fewest updates; none where all is done."""
        left = [member for member in self._members if member.under_way]
        least = min((member.done for member in left), default=0)
        return [member for member in left if member.done == least]

    def _block_end(self, first: Member) -> int:
        """The step at which the next block ends."""
        setup, done = first.setup, first.done
        ends = [setup.epoch_steps, setup.eval_every, first.run.snapshot_every or 0]
        boundaries = [(done // every + 1) * every for every in ends if every]
        if setup.epoch_steps == 1:  # full batch: its epochs are steps
            boundaries = boundaries[1:]
        ahead = [member.done for member in self._members if member.done > done]
        seconds = done + max(1, int(self._pace * _BLOCK_SECONDS))
        return min(*boundaries, *ahead, seconds, setup.total_steps)

    def _advance(self, group: Sequence[Member]) -> list[Member]:
        """Make a block of updates; those that came through."""
        began, first = time.monotonic(), group[0].done
        end = self._block_end(group[0])
        advanced = self._computer.advance(group, end)
        elapsed = time.monotonic() - began
        self._pace = (end - first) / max(elapsed, 1e-9)
        for member, (state, rows) in zip(group, advanced, strict=True):
            member.seconds["training"] += elapsed / len(group)
            with member.contained():
                member.keep(end, state, rows)
        return [member for member in group if member.problem is None]

    def _evaluate(self, group: Sequence[Member]) -> None:
        if not group:
            return
        began = time.monotonic()
        measured = self._computer.evaluate(group)
        for member, row in zip(group, measured, strict=True):
            member.add_evaluation(row)
            member.seconds["evaluation"] += (time.monotonic() - began) / len(group)


def _each(members: Sequence[Member], do: Callable[[Member], None]) -> None:
    for member in members:
        if member.problem is None:
            with member.contained():
                do(member)
