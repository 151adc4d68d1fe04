"""The first call of a model in training, kept until its symmetries have been found."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from limitcycle.errors import UserError
from limitcycle.symmetry import Symmetries, symmetries, unwrapped


class FirstCall:
    """A forward pre-hook that keeps the arguments of one call in train mode, then removes itself.

    It sits on the module that the user calls, so that it is seen whatever is inside: a compiled
    forward pass or a distributed wrapper.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._batch: Any = None
        self._handle: Any = model.register_forward_pre_hook(self._keep, with_kwargs=True)

    def forget(self) -> None:
        """Remove the hook and let go of the batch."""
        self._batch = None
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def symmetries(self) -> Symmetries:
        """Those of the model, found with the batch of its first call.

        Raises:
            UserError: there was no call, or nothing can be found with it.
        """
        if self._batch is None:
            raise UserError(
                "the model has not been called in train mode since watching began: call "
                "limitcycle.watch before the loop, or give it symmetries=limitcycle.symmetries(…)"
            )
        batch = self._batch
        self.forget()
        with torch.autocast(_device(self._model).type, enabled=False):
            return symmetries(self._model, batch)

    def _keep(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if module.training and torch.is_grad_enabled():
            batch = _moved(_as_batch(unwrapped(module), args, kwargs), _device(module))
            self.forget()
            self._batch = batch


def _as_batch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The arguments as a batch: a tuple for ``model(*batch)`` or a mapping for ``**batch``."""
    if not kwargs:
        return args
    if not args:
        return kwargs
    return dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to(device)
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_moved(item, device) for item in value)
    return value


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
