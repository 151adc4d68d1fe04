"""The first call of a model in training, kept until its symmetries have been found."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.symmetry import Symmetries, symmetries, unwrapped


class FirstCall:
    """Forward pre-hooks that keep the arguments of one call in train mode, then remove themselves.

    They sit on the module that the user watches, so that its call is seen whatever is inside (a
    compiled forward pass, a distributed wrapper), and on every module within that holds all that
    the optimizer moves: a loop may call only that one (``self.net(x)`` in a training step).
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self._model = model
        self._called: nn.Module = model
        self._batch: Any = None
        self._handles = [
            module.register_forward_pre_hook(self._keeper(module), with_kwargs=True)
            for module in _whole(model, optimizer)
        ]

    def forget(self) -> None:
        """Remove the hooks and let go of the batch."""
        self._batch = None
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def symmetries(self) -> Symmetries:
        """Those of the model, found with the batch of its first call.

        Raises:
            UserError: there was no call, or nothing can be found with it.
        """
        if self._batch is None:
            raise UserError(
                "the model has not been called in train mode since watching began, nor a part of "
                "it that holds all that the optimizer moves: call limitcycle.watch before the "
                "loop, watch the part that is called, or give symmetries=limitcycle.symmetries(…)"
            )
        batch = self._batch
        self.forget()
        model, called = self._model, self._called
        if unwrapped(called) is not unwrapped(model):
            model = _Through(unwrapped(model), unwrapped(called))
        with torch.autocast(_device(model).type, enabled=False):
            return symmetries(model, batch)

    def _keeper(self, module: nn.Module) -> Callable[..., None]:
        own = _function(module.forward)

        # ``called`` is another module where DataParallel calls copies of this one.
        def keep(called: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            # Lightning sends training_step through a forward that it puts in for that one call.
            if not called.training or _function(called.forward) is not own:
                return
            if torch.is_grad_enabled():
                batch = _moved(_as_batch(unwrapped(module), args, kwargs), _device(module))
                self.forget()
                self._called, self._batch = module, batch

        return keep


class _Through(nn.Module):
    """The tensors of one module under their names there, the forward pass of a module within."""

    _called: nn.Module

    def __init__(self, whole: nn.Module, called: nn.Module) -> None:
        super().__init__()
        for table in ("_modules", "_parameters", "_buffers"):
            vars(self)[table] = vars(whole)[table]
        vars(self)["_called"] = called  # no child: its tensors have their names already

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._called(*args, **kwargs)


def _whole(model: nn.Module, optimizer: Optimizer) -> list[nn.Module]:
    """The model, and the modules within that hold all of it that the optimizer moves."""
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    moved = {id(p) for group in optimizer.param_groups for p in group["params"]} & trained
    return [m for m in model.modules() if m is model or moved <= {id(p) for p in m.parameters()}]


def _function(forward: Any) -> Any:
    """What a bound method is of: the same for a module and its copies."""
    return getattr(forward, "__func__", forward)


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
