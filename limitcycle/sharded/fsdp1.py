"""Weights under the older FSDP with ``use_orig_params=True``: flat pieces of one flat parameter.

A weight is a view of the part of it that lies on this process, flat, or an empty one.
"""

from typing import Any

import torch.distributed as dist
from torch import nn

from limitcycle.errors import UserError
from limitcycle.sharded.parts import is_fsdp1

_PREFIX = "_fsdp_wrapped_module."


def whole_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights that FSDP1 has flattened, by name.

    Raises:
        UserError: the weights are not there by themselves (``use_orig_params=False``), or groups of
            processes hold copies (hybrid sharding).
    """
    found: dict[str, tuple[int, ...]] = {}
    for prefix, module in model.named_modules():
        if not is_fsdp1(module):
            continue
        fsdp: Any = module
        if not hasattr(fsdp, "_handle"):
            raise UserError(
                "this FSDP is not torch's, and keeps only a part of every weight on this process: "
                "shard with torch's fully_shard"
            )
        handle = fsdp._handle
        if handle is None:
            continue
        if not fsdp._use_orig_params:
            raise UserError(
                "FSDP with use_orig_params=False has one flat tensor for many weights: give "
                "use_orig_params=True, or shard with fully_shard"
            )
        if "HYBRID" in str(fsdp.sharding_strategy):
            raise UserError(
                "FSDP with hybrid sharding cannot be watched: shard with fully_shard on a mesh of "
                "two dimensions"
            )
        flat = handle.flat_param
        for name, shape in zip(flat._fqns, flat._shapes, strict=True):
            found[clean(f"{prefix}.{name}" if prefix else name)] = tuple(shape)
    return found


def clean(name: str) -> str:
    """A weight's name without what FSDP1 puts into it."""
    return name.replace(_PREFIX, "").replace("_fsdp_wrapped_module", "").lstrip(".")


def place_here(model: nn.Module) -> dict[str, list[int]]:
    """Size of the group that shares each flattened weight, and this process's place in it."""
    found: dict[str, list[int]] = {}
    for prefix, module in model.named_modules():
        if not is_fsdp1(module):
            continue
        fsdp: Any = module
        if fsdp._handle is None:
            continue
        at = [dist.get_world_size(fsdp.process_group), dist.get_rank(fsdp.process_group)]
        if "NO_SHARD" in str(fsdp.sharding_strategy):
            at = []
        for name in fsdp._handle.flat_param._fqns:
            found[clean(f"{prefix}.{name}" if prefix else name)] = at
    return found
