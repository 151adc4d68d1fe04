"""A block of steps in a row: from a state to a state, with a row a step; nothing waits for it."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from limitcycle.lab.engine import Hyper
from limitcycle.lab.feed import Batch
from limitcycle.lab.functional import State

Step = Callable[[State, Batch, Hyper], tuple[dict[str, Tensor], dict[str, Tensor]]]
"""`limitcycle.lab.engine.step` of one net, or of several at once."""

Block = Callable[
    [State, Hyper, Tensor, Iterable[Batch]], tuple[dict[str, Tensor], dict[str, Tensor]]
]
"""(state, hyperparameters but for the learning rate, the steps' learning rates (T, …), batches) →
(the state after them, rows (T, …) by name). The arguments stay as they were."""


def launched(step: Step) -> Block:
    """A block that launches the operations of every step."""

    def block(
        state: State, fixed: Hyper, rates: Tensor, batches: Iterable[Batch]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        rows = []
        for rate, batch in zip(rates, batches, strict=True):
            state, row = step(state, batch, {**fixed, "lr": rate})
            rows.append(row)
        return dict(state), {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    return block
