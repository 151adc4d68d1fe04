"""Weights of which each process holds a part: FSDP, tensor parallelism, pipeline stages.

Sums of squares and inner products add up over parts. So each process measures what lies on it as
plain tensors, and one sum over all processes makes the whole of it.

- `parts` gives this process's part of a tensor and of its gradient (`fsdp1`: of the older FSDP);
- `layout` settles once which process counts which part, so that none is counted twice;
- `pending` sums gradients that the training leaves to be summed in the optimizer's step;
- `wire` is how processes that watch talk: on connections of their own, never without a time limit;
- `block` adds up the measurements of several steps over all processes.
"""

from limitcycle.sharded.block import Block, Summed
from limitcycle.sharded.layout import Part, dealt, held_here
from limitcycle.sharded.parts import (
    Parts,
    in_company,
    is_first,
    is_flattened,
    is_sharded,
    local,
)
from limitcycle.sharded.pending import Pending
from limitcycle.sharded.wire import Wire, WireError

__all__ = [
    "Block",
    "Part",
    "Parts",
    "Pending",
    "Summed",
    "Wire",
    "WireError",
    "dealt",
    "held_here",
    "in_company",
    "is_first",
    "is_flattened",
    "is_sharded",
    "local",
]
