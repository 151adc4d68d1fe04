"""What cannot be watched, refused by name before anything is measured."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.optim import Optimizer

from limitcycle.errors import UserError

_SHARDED = {
    "FullyShardedDataParallel": "FSDP",
    "FSDPModule": "FSDP",
    "DeepSpeedEngine": "DeepSpeed",
    "DeepSpeedOptimizerWrapper": "DeepSpeed",
}


def check(model: nn.Module, optimizer: Optimizer) -> None:
    """Refuse models and optimizers whose weights or gradients are not there to be measured.

    Raises:
        UserError: FSDP or another sharding, or parameters on several devices.
    """
    for thing in (*model.modules(), optimizer):
        for kind in type(thing).__mro__:
            if kind.__name__ in _SHARDED:
                raise UserError(
                    f"{_SHARDED[kind.__name__]} keeps only a part of every weight on this process: "
                    "watch a run of the same model under DistributedDataParallel"
                )
    devices = sorted({str(parameter.device) for parameter in model.parameters()})
    if len(devices) > 1:
        raise UserError(
            f"the model's parameters lie on several devices ({', '.join(devices)}): watch a run "
            "that fits on one"
        )
    for name, parameter in model.named_parameters():
        if type(parameter).__name__ == "DTensor" or hasattr(parameter, "device_mesh"):
            raise UserError(f"parameter {name} is sharded (DTensor), this process has a part of it")


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
