"""This process's part of a tensor, as a plain tensor with a plain gradient."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from limitcycle.errors import UserError


def in_company() -> bool:
    """Whether this is one of several processes that talk to each other."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def is_first() -> bool:
    """Whether this is the first process of the job, or the only one."""
    return not (dist.is_available() and dist.is_initialized() and dist.get_rank())


def is_dtensor(tensor: Any) -> bool:
    """Whether it is torch's distributed tensor; asked without importing it."""
    return hasattr(tensor, "device_mesh") and hasattr(tensor, "placements")


def is_fsdp1(module: nn.Module) -> bool:
    """Whether it is a ``FullyShardedDataParallel``, the older FSDP."""
    return any(kind.__name__ == "FullyShardedDataParallel" for kind in type(module).__mro__)


def is_flattened(parameter: Tensor) -> bool:
    """Whether FSDP1 has made it a view of a flat parameter, of which a part lies here."""
    return bool(getattr(parameter, "_fsdp_flattened", False))


def is_sharded(model: nn.Module) -> bool:
    """Whether this process holds but a part of some weight of ``model``."""
    if any(is_fsdp1(module) for module in model.modules()):
        return True
    return any(is_dtensor(parameter) for parameter in model.parameters())


def local(tensor: Tensor) -> Tensor:
    """What lies here of a tensor, without a copy; a plain one as it is. Call it in `no_grad`."""
    if not is_dtensor(tensor):
        return tensor.detach()
    distributed: Any = tensor
    here: Tensor = distributed.to_local()
    return here.detach()


class Parts:
    """The parts of tensors that this process counts.

    Args:
        tensors: all that are measured; of each a part lies here, or nothing.
        counted: whether this process counts its part; another holds the same one if not.

    Attributes:
        sources: the tensors whose parts are counted here.
        pieces: these parts, plain tensors. Between `bind` and `release` they have gradients.
    """

    def __init__(self, tensors: Sequence[Tensor], counted: Sequence[bool]) -> None:
        pairs = zip(tensors, counted, strict=True)
        self.sources = [t for t, here in pairs if here and local(t).numel()]
        # Tensors of their own: what lies here may be the parameter's own memory, or be replaced.
        self.pieces = [local(tensor).detach() for tensor in self.sources]

    def bind(self, summed: Mapping[int, Tensor]) -> None:
        """Take weights and gradients as they are now.

        Args:
            summed: gradients that had to be summed over processes first, by the tensor's id.
        """
        self.follow()
        for source, piece in zip(self.sources, self.pieces, strict=True):
            gradient = summed.get(id(source), source.grad)
            if gradient is None:
                piece.grad = None
                continue
            if is_dtensor(gradient) and not _placed_alike(gradient, source):
                raise UserError(
                    f"the gradient of a weight of shape {tuple(source.shape)} lies on the "
                    "processes in another way than at the first step"
                )
            here = local(gradient)
            if here.dtype != piece.dtype:
                here = here.to(piece.dtype)
            piece.grad = here if here.shape == piece.shape else here.view(piece.shape)

    def follow(self) -> None:
        """See the weights where they lie now: a framework may have put others into their place."""
        for source, piece in zip(self.sources, self.pieces, strict=True):
            now = local(source)
            if now.data_ptr() != piece.data_ptr():
                piece.data = now

    def release(self) -> None:
        """Hold no gradient any longer."""
        for piece in self.pieces:
            piece.grad = None


def _placed_alike(gradient: Any, weight: Any) -> bool:
    return tuple(gradient.placements) == tuple(weight.placements)


def digest(tensor: Tensor) -> tuple[str, str]:
    """Two sums of a tensor's entries, exactly as text: equal tensors have equal ones."""
    if not tensor.numel():
        return ("", "")
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    flat = real.detach().reshape(-1)
    wide = torch.float32 if flat.device.type == "mps" else torch.float64
    total = flat.sum(dtype=wide)
    length = torch.linalg.vector_norm(flat.float() if flat.dtype.itemsize < 4 else flat, dtype=wide)
    return float(total).hex(), float(length).hex()
