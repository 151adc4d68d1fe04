"""From a run's description to what the loop needs: data, net, initial state."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from limitcycle.control import project
from limitcycle.errors import UserError
from limitcycle.lab.cache import cached
from limitcycle.lab.data import Dataset, load_dataset
from limitcycle.lab.fits import check_batch_size
from limitcycle.lab.functional import FunctionalNet, State
from limitcycle.lab.nets import build_net
from limitcycle.record import Run
from limitcycle.record.checkpoints import Arrays, read_checkpoint
from limitcycle.record.files import read_json, write_json
from limitcycle.symmetry import Symmetries, fingerprint, symmetries

_PROBE_IMAGES = 8  # enough for batch statistics, few enough for a wide net
_PROBE_SIDE = 16  # pixels: a net's symmetries do not depend on the images' size, its cost does


@dataclass(frozen=True)
class Setup:
    """Everything about a run that does not change while it trains.

    Attributes:
        data: its data set.
        net: its network as a pure function; ``net.leading`` weights make up ρ.
        state: the state it starts from.
        norm: ρ at which the weights are held; None where they are free.
        symmetries: which parameters are scale-invariant.
        measured: names of the parameters that make up ρ.
        batch_size, epoch_steps, total_steps, eval_every: in images, and in steps.
        weight_decay: λ.
        momentum: μ.
    """

    data: Dataset
    net: FunctionalNet
    state: dict[str, Tensor]
    norm: float | None
    symmetries: Symmetries
    measured: tuple[str, ...]
    batch_size: int
    epoch_steps: int
    total_steps: int
    eval_every: int
    weight_decay: float
    momentum: float

    def batch_sizes(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Images in the batches of ``steps``: the last of an epoch may be smaller."""
        last = len(self.data.train_labels) - (self.epoch_steps - 1) * self.batch_size
        return np.where((steps + 1) % self.epoch_steps == 0, last, self.batch_size)


def prepare(
    run: Run, device: torch.device, data: Dataset | None = None, *, bf16: bool = False
) -> Setup:
    """Build the run on ``device``.

    Args:
        run: its description.
        device: where to compute.
        data: its data set, where another run has loaded it.
        bf16: round the factors of products to bfloat16.

    Raises:
        UserError: the data, the net and the batches do not fit together.
    """
    data = data or load_dataset(run, device)
    module = build_net(run, data.image_shape, data.classes).to(getattr(torch, run.dtype))
    found = find_symmetries(run, data)
    measured = measured_names(module, found)
    size = len(data.train_labels)
    batch_size = run.batch_size if isinstance(run.batch_size, int) else size
    check_batch_size(run, size)
    epoch_steps = -(-size // batch_size)
    _refuse_batch_of_one(module, data, batch_size, size % batch_size or batch_size)
    net = FunctionalNet(module, measured, autocast=device.type if bf16 else None)
    state = initial_state(run, net, device)
    return Setup(
        data=data,
        net=net,
        state=state,
        norm=_held_norm(run, state, net.leading),
        symmetries=found,
        measured=measured,
        batch_size=batch_size,
        epoch_steps=epoch_steps,
        total_steps=run.steps if run.steps is not None else (run.epochs or 0) * epoch_steps,
        eval_every=run.eval_every or (50 if run.batch_size is None else epoch_steps),
        weight_decay=run.weight_decay,
        momentum=run.momentum,
    )


def find_symmetries(run: Run, data: Dataset) -> Symmetries:
    """The net's scaling symmetries as `limitcycle.symmetry` finds them.

    They are kept in the cache under the net's `fingerprint`: an edited net is asked anew.
    """
    side = _side(run, data)
    with torch.device("meta"):  # built where nothing is stored; a norm there costs seconds
        key = fingerprint(build_net(replace(run, head_norm=None), _shape(data, side), data.classes))
    if key is None:
        return symmetries(*_smaller(run, data, side))
    return cached(
        f"symmetries/{key}-{side}.json",
        make=lambda: symmetries(*_smaller(run, data, side)),
        read=lambda path: Symmetries.from_dict(read_json(path)),
        write=lambda path, found: write_json(path, found.to_dict()),
    )


def _side(run: Run, data: Dataset) -> int:
    """Of the images that a net is asked about its symmetries with, in pixels."""
    return min(data.image_shape[1], max(_PROBE_SIDE, 1 << (run.depth or 0)))


def _shape(data: Dataset, side: int) -> tuple[int, int, int]:
    return data.image_shape[0], side, side


def _smaller(run: Run, data: Dataset, side: int) -> tuple[nn.Module, Tensor]:
    """The run's net as built for small images, and a few of these."""
    images = data.train_images[:_PROBE_IMAGES].cpu()
    module = build_net(run, _shape(data, side), data.classes).to(images.dtype)
    return module, functional.adaptive_avg_pool2d(images, side).contiguous()


def measured_names(module: nn.Module, found: Symmetries) -> tuple[str, ...]:
    """The parameters whose joint norm is ρ: scale-invariant, of two or more dimensions.

    A net without any (a control without normalisation) is measured over all its trained tensors of
    two or more dimensions instead.
    """
    matrices = [name for name, p in module.named_parameters() if p.requires_grad and p.dim() > 1]
    invariant = set(found.scale_invariant)
    return tuple(name for name in matrices if name in invariant) or tuple(matrices)


def initial_state(run: Run, net: FunctionalNet, device: torch.device) -> dict[str, Tensor]:
    """The state after no update: initialised from the seed, or taken from ``run.start_from``."""
    state = net.initial_state(getattr(torch, run.dtype), device)
    if run.start_from is not None:
        arrays = read_checkpoint(Path(run.start_from)).arrays
        state = from_arrays(net, arrays, state, source=run.start_from)
    if run.init_scale != 1:
        state["weights"][: net.leading] *= run.init_scale
    if isinstance(run.fixed_norm, int | float):
        leading = project(state["weights"][: net.leading], torch.tensor(float(run.fixed_norm)))
        state["weights"][: net.leading] = leading
    if run.momentum:
        state["momentum"] = torch.zeros_like(state["weights"])
    return state


def to_arrays(net: FunctionalNet, state: State) -> dict[str, Any]:
    """A state as NumPy arrays under readable names: ``weights/body.1.weight``, …"""
    return {
        f"{part}/{name}": tensor.detach().cpu().numpy()
        for part, flat in state.items()
        for name, tensor in net.parts["weights" if part == "momentum" else part].named(flat).items()
    }


def from_arrays(
    net: FunctionalNet, arrays: Arrays, like: State, *, source: str
) -> dict[str, Tensor]:
    """The inverse of `to_arrays`, on the device and in the dtype of ``like``.

    Raises:
        UserError: the arrays are another net's.
    """
    state = {}
    for part, flat in like.items():
        layout = net.parts["weights" if part == "momentum" else part]
        try:
            tensors = {s.name: torch.from_numpy(arrays[f"{part}/{s.name}"]) for s in layout.slots}
        except KeyError as missing:
            raise UserError(f"{source} has no tensor {missing}: it is another net's") from None
        wrong = [s.name for s in layout.slots if tensors[s.name].shape != s.shape]
        if wrong:
            raise UserError(f"{source}: {wrong[0]} has another shape: it is another net's")
        state[part] = layout.flatten(tensors).to(flat)
    return state


def _held_norm(run: Run, state: State, leading: int) -> float | None:
    if run.fixed_norm is None:
        return None
    return float(torch.linalg.vector_norm(state["weights"][:leading], dtype=torch.float64))


def _refuse_batch_of_one(module: nn.Module, data: Dataset, size: int, last: int) -> None:
    """A last batch of one image has no batch statistics; say so before hours of training."""
    if last > 1:
        return
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            module.train()(data.train_images[:1].cpu())
    except ValueError:
        which = "a batch" if size == 1 else "the last batch of an epoch"
        raise UserError(
            f"{which} has one image, which batch normalisation cannot take: change batch_size or "
            "train_size"
        ) from None
