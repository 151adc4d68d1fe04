"""A block of steps as replays of CUDA graphs: one launch a step instead of some hundred.

A graph replays the same kernels on the same memory. So the state, the hyperparameters and a batch
of each shape have buffers that stay; a step is: batch and learning rate copied in, replay, row
copied out. The last batch of an epoch is often smaller and has a graph of its own.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from limitcycle.lab.block import Block, Step
from limitcycle.lab.engine import Hyper
from limitcycle.lab.feed import Batch
from limitcycle.lab.functional import State

_WARM_UPS = 3  # runs before a capture, in which libraries make their choices and workspaces

Buffers = dict[str, Tensor]
Result = tuple[Buffers, Buffers]
Capture = Callable[[Callable[[], Result], Callable[[Result], None]], Callable[[], None]]
"""(a computation without side effects, what is done with its result) → their replay."""


def captured(compute: Callable[[], Result], keep: Callable[[Result], None]) -> Callable[[], None]:
    """The replay of ``keep(compute())`` on the current CUDA device; here nothing is kept yet."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UPS):
            compute()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        keep(compute())
    return graph.replay


def replayed(step: Step, capture: Capture = captured) -> Block:
    """A block that captures ``step`` once for each shape of batch, and then replays it.

    Args:
        step: free of side effects, with nothing that waits for the device.
        capture: how it is captured.
    """
    return _Replayed(step, capture)


class _Replayed:
    def __init__(self, step: Step, capture: Capture) -> None:
        self._step, self._capture = step, capture
        self._state: Buffers = {}
        self._hyper: Buffers = {}
        self._graphs: dict[torch.Size, _Graph] = {}

    def __call__(
        self, state: State, fixed: Hyper, rates: Tensor, batches: Iterable[Batch]
    ) -> Result:
        _fill(self._state, state)
        _fill(self._hyper, {**fixed, "lr": rates[0]})
        rows = []
        for rate, batch in zip(rates, batches, strict=True):
            self._hyper["lr"].copy_(rate)
            rows.append(self._graph(batch).replay(batch))
        names = self._graph(batch).names
        table = torch.stack(rows).unbind(1)
        return _copied(self._state), dict(zip(names, table, strict=True))

    def _graph(self, batch: Batch) -> "_Graph":
        shape = batch[0].shape
        if shape not in self._graphs:
            self._graphs[shape] = _Graph(self._step, self._capture, self._state, self._hyper, batch)
        return self._graphs[shape]


class _Graph:
    """``step`` on the buffers ``state`` and ``hyper`` and on batches shaped like ``batch``."""

    def __init__(
        self, step: Step, capture: Capture, state: Buffers, hyper: Buffers, batch: Batch
    ) -> None:
        self._state = state
        self._images, self._labels = batch[0].clone(), batch[1].clone()
        self._replay = capture(lambda: step(state, (self._images, self._labels), hyper), self._keep)

    def _keep(self, result: Result) -> None:
        following, row = result
        self.names = tuple(row)
        self._row = torch.stack([value.double() for value in row.values()])
        for name, buffer in self._state.items():
            buffer.copy_(following[name])

    def replay(self, batch: Batch) -> Tensor:
        """One step of the state in its buffer; its row (scalars, …), float64."""
        self._images.copy_(batch[0])
        self._labels.copy_(batch[1])
        self._replay()
        return self._row.clone()


def _fill(buffers: Buffers, values: State) -> None:
    """Copy ``values`` into ``buffers``, which are made the first time."""
    if not buffers:
        buffers.update(_copied(values))
    for name, value in values.items():
        buffers[name].copy_(value)


def _copied(values: State) -> Buffers:
    return {name: value.clone() for name, value in values.items()}
