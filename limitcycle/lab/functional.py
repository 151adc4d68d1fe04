"""A network as a pure function of flat vectors.

All trained weights are one vector, the scale-invariant ones first; frozen weights and running
statistics are two more. A step then costs a few operations however many tensors the net has, and
the state of a run is a flat dictionary that can be copied, stored, batched or captured.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

State = Mapping[str, Tensor]


class Slot(NamedTuple):
    """Where a tensor of the net hangs: ``home[key]``, and what it looks like."""

    name: str
    home: dict[str, Tensor | None]
    key: str
    shape: torch.Size


class FlatPart:
    """The layout of some of a net's tensors in one vector.

    Four-dimensional tensors are stored channels-last, the layout that CPU and GPU convolutions are
    fast in.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = tuple(slots)
        self.sizes = [slot.shape.numel() for slot in slots]
        self.size = sum(self.sizes)
        self._installed: Tensor | None = None

    def views(self, flat: Tensor) -> list[Tensor]:
        """The tensors, as views into ``flat`` (size,)."""
        pieces = torch.split(flat, self.sizes)
        return [_shaped(piece, slot.shape) for piece, slot in zip(pieces, self.slots, strict=True)]

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """The tensors by name, as views into ``flat`` (size,)."""
        return {s.name: view for s, view in zip(self.slots, self.views(flat), strict=True)}

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """The inverse of `named`: a new vector (size,)."""
        pieces = [_unshaped(tensors[slot.name]) for slot in self.slots]
        return torch.cat(pieces) if pieces else torch.zeros(0)

    def install(self, flat: Tensor, tensors: Sequence[Tensor] | None = None) -> None:
        """Hang ``tensors`` into the net, in the layout's order; if None, views into ``flat``.

        Nothing to do where these hang there already.
        """
        if tensors is not None:
            self._hang(tensors)
        elif flat is not self._installed:
            self._hang(self.views(flat))
            self._installed = flat

    def _hang(self, tensors: Sequence[Tensor]) -> None:
        for slot, tensor in zip(self.slots, tensors, strict=True):
            slot.home[slot.key] = tensor
        self._installed = None


class FunctionalNet:
    """A net without state of its own, and the layout of its state.

    Args:
        net: the module; its own parameters and buffers are replaced at every call.
        first: names of the parameters that lead the weight vector (the scale-invariant ones).
        autocast: the type of device on which the factors of products are rounded to bfloat16;
            None: nothing is rounded.

    Attributes:
        parts: layouts of ``weights`` (trained), ``frozen`` and ``stats`` (running statistics).
        leading: how many entries of the weight vector belong to ``first``.
    """

    def __init__(self, net: nn.Module, first: Iterable[str], autocast: str | None = None) -> None:
        leading: list[Slot] = []
        trained: list[Slot] = []
        frozen: list[Slot] = []
        stats: list[Slot] = []
        first = set(first)
        for prefix, module in net.named_modules():
            for key, parameter in module._parameters.items():
                if parameter is not None:
                    slot = _slot(prefix, module._parameters, key, parameter)
                    home = trained if parameter.requires_grad else frozen
                    (leading if slot.name in first else home).append(slot)
            for key, buffer in module._buffers.items():
                if buffer is not None:
                    stats.append(_slot(prefix, module._buffers, key, buffer))
        self.net = net
        self._call = net if autocast is None else _in_bfloat16(net, autocast)
        self.parts = {
            "weights": FlatPart([*leading, *trained]),
            "frozen": FlatPart(frozen),
            "stats": FlatPart(stats),
        }
        self.leading = sum(slot.shape.numel() for slot in leading)

    def initial_state(self, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
        """The state in which the net was built."""
        tensors = dict(chain(self.net.named_parameters(), self.net.named_buffers()))
        return {
            name: part.flatten({key: t.detach() for key, t in tensors.items()}).to(device, dtype)
            for name, part in self.parts.items()
        }

    def logits(
        self,
        state: State,
        images: Tensor,
        *,
        train: bool,
        weights: Sequence[Tensor] | None = None,
        stats: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Logits (N, classes), and the running statistics after this call (unchanged in eval).

        ``weights`` and ``stats`` stand in for the state's, one tensor a slot of their layout;
        these statistics are changed where they are, and those returned are the state's.
        """
        following = state["stats"].clone() if train and stats is None else state["stats"]
        self.parts["weights"].install(state["weights"], weights)
        self.parts["frozen"].install(state["frozen"])
        self.parts["stats"].install(following, stats)
        if self.net.training != train:
            self.net.train(train)
        return self._call(images), following


class Derivative(NamedTuple):
    """A batch's gradient with respect to the weight vector, and what came with it."""

    gradient: Tensor
    loss: Tensor
    logits: Tensor
    stats: Tensor


Differentiate = Callable[[FunctionalNet, State, Tensor, Tensor], Derivative]


def differentiate(net: FunctionalNet, state: State, images: Tensor, labels: Tensor) -> Derivative:
    """The derivative of the batch's loss in train mode, by ordinary autograd: fastest for one run.

    The leaves are the tensors, not the vector: autograd is spared the way back through the views.
    """
    layout = net.parts["weights"]
    leaves = [view.requires_grad_() for view in layout.views(state["weights"].detach())]
    logits, stats = net.logits(state, images, train=True, weights=leaves)
    loss = F.cross_entropy(logits, labels)
    pieces = [_unshaped(piece) for piece in torch.autograd.grad(loss, leaves)]
    return Derivative(torch.cat(pieces), loss.detach(), logits.detach(), stats)


def differentiate_functionally(
    net: FunctionalNet, state: State, images: Tensor, labels: Tensor
) -> Derivative:
    """The same by ``torch.func``, which composes with ``torch.vmap``, and costs more."""

    def objective(weights: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        # A tensor each: under vmap, batch normalisation loses what it writes into a part of one.
        pieces = [view.clone() for view in net.parts["stats"].views(state["stats"])]
        here = {**state, "weights": weights}
        logits, _ = net.logits(here, images, train=True, stats=pieces)
        stats = torch.cat(pieces) if pieces else state["stats"]
        # Classes first: on a CPU the softmax of many short rows costs ten times as much.
        return F.cross_entropy(logits.T[None], labels[None]), (logits, stats)

    gradient, (loss, (logits, stats)) = torch.func.grad_and_value(objective, has_aux=True)(
        state["weights"]
    )
    return Derivative(gradient, loss, logits, stats)


def as_vmap_takes_it(net: FunctionalNet) -> FunctionalNet:
    """``net``, whose GroupNorm takes images as rows: how they lie in memory vmap cannot tell it."""
    for module in net.net.modules():
        if isinstance(module, nn.GroupNorm):
            module.forward = partial(_group_norm_of_rows, module)  # type: ignore[method-assign]
    return net


def _group_norm_of_rows(norm: nn.GroupNorm, images: Tensor) -> Tensor:
    rows = images.reshape(*images.shape[:2], -1)
    normalised = F.group_norm(rows, norm.num_groups, norm.weight, norm.bias, norm.eps)
    return normalised.reshape(images.shape)


def _in_bfloat16(net: nn.Module, device: str) -> Callable[[Tensor], Tensor]:
    """``net`` with bfloat16 products; batch normalisation, which vmap cannot mix, is in float32."""
    for module in net.modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))

    def call(images: Tensor) -> Tensor:
        # Nothing is kept between calls: a cached copy of a weight would outlive a CUDA graph.
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            logits: Tensor = net(images)
        return logits.to(images.dtype)

    return call


def _slot(prefix: str, home: dict[str, Tensor | None], key: str, tensor: Tensor) -> Slot:
    return Slot(f"{prefix}.{key}" if prefix else key, home, key, tensor.shape)


def _shaped(piece: Tensor, shape: torch.Size) -> Tensor:
    if len(shape) == 4:
        outputs, inputs, height, width = shape
        return piece.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
    return piece.view(shape) if len(shape) > 1 else piece


def _unshaped(tensor: Tensor) -> Tensor:
    return (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).reshape(-1)
