"""What cannot be watched, refused by name before anything is measured."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.sharded.fsdp1 import whole_shapes

_WAY_OUT = "train the same model with fully_shard (FSDP2), or watch a run of it under DDP"
_REFUSED = {
    "DeepSpeedEngine": "DeepSpeed",
    "DeepSpeedOptimizerWrapper": "DeepSpeed",
    "DeepSpeedZeroOptimizer": "DeepSpeed",
    "DeepSpeedZeroOptimizer_Stage3": "DeepSpeed",
    "BF16_Optimizer": "DeepSpeed",
    "MegatronOptimizer": "Megatron",
    "MixedPrecisionOptimizer": "Megatron",
    "DistributedOptimizer": "Megatron",
}


def check(model: nn.Module, optimizer: Optimizer) -> None:
    """Refuse models and optimizers whose weights or gradients are not there to be measured.

    Raises:
        UserError: another sharding than torch's, or parameters on several devices.
    """
    for thing in (*model.modules(), optimizer):
        for kind in type(thing).__mro__:
            if kind.__name__ in _REFUSED:
                raise UserError(
                    f"{_REFUSED[kind.__name__]} keeps weights and gradients in flat buffers of its "
                    f"own: {_WAY_OUT}"
                )
    whole_shapes(model)  # refuses FSDP whose weights are not there by themselves
    devices = sorted({str(parameter.device) for parameter in model.parameters()})
    if len(devices) > 1:
        raise UserError(
            f"the model's parameters lie on several devices ({', '.join(devices)}): watch a run "
            "that fits on one"
        )


def check_gradients(named: Mapping[str, Tensor]) -> None:
    """Refuse sparse gradients, where there are any.

    Raises:
        UserError: a parameter has one (it is named).
    """
    for name, parameter in named.items():
        if parameter.grad is not None and parameter.grad.layout != parameter.layout:
            raise UserError(
                f"the gradient of {name} is sparse: watch with sparse=False in its embedding"
            )
