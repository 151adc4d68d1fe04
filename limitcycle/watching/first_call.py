"""The first call of a model in training, kept until its symmetries have been found."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from limitcycle.errors import UserError
from limitcycle.measure import Moving
from limitcycle.symmetry import Symmetries, symmetries_in_use, unwrapped


class FirstCall:
    """Forward pre-hooks that keep the arguments of one call in training, then remove themselves.

    A call in train mode is one; where there was none, one in eval mode for which gradients are
    recorded, as in fine-tuning without dropout.

    They sit on the module that the user watches, so that its call is seen whatever is inside (a
    compiled forward pass, a distributed wrapper), and on every module within that holds all that
    the optimizer moves: a loop may call only that one (``self.net(x)`` in a training step).

    Args:
        model: as it is trained.
        optimizer: that is watched.
        then: called at the call.
        latest: keep the hooks, and the arguments of the newest call.

    Attributes:
        seen: whether there was such a call.
        in_training: whether there was one in train mode.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Moving,
        then: Callable[[], None] | None = None,
        *,
        latest: bool = False,
    ) -> None:
        self._model, self._then, self._latest = model, then, latest
        self.seen = self.in_training = False
        self._called: nn.Module = model
        self._batch: Any = None
        self._problem: Exception | None = None
        self._handles = [
            module.register_forward_pre_hook(_Keeper(self, module), with_kwargs=True)
            for module in _whole(model, optimizer)
        ]

    def forget(self) -> None:
        """Remove the hooks and let go of the batch."""
        self._batch, self._problem = None, None
        self._remove_hooks()

    def _remove_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def symmetries(self) -> Symmetries:
        """Those of the model, found with the batch of its first call.

        Raises:
            UserError: there was no call, or nothing can be found with it.
            Exception: whatever the model raises when it is called in another way.
        """
        batch, problem = self._batch, self._problem
        self.forget()
        if problem is not None:
            raise problem
        if batch is None:
            raise UserError(
                "the model was not called since watching began, nor a part of it that holds all "
                "that the optimizer moves"
            )
        model, called = self._model, self._called
        if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
            raise UserError(
                "a scripted part of the model compiles itself anew after its first calls, so that "
                "calls of ours would change the bits of the training"
            )
        if unwrapped(called) is not unwrapped(model):
            model = _Through(unwrapped(model), unwrapped(called))
        with torch.autocast(_device(model).type, enabled=False):
            return symmetries_in_use(model, batch)

    def take(self, module: nn.Module, batch: Any, problem: Exception | None) -> None:
        """Keep what ``module`` was called with; one call in train mode is enough."""
        self.seen, self.in_training, self._called = True, module.training, module
        self._batch, self._problem = batch, problem
        if self._then is not None:
            self._then()
        if module.training and not self._latest:
            self._remove_hooks()


class _Keeper:
    """A hook that hands a module's call to ``first_call``; no copy of a module keeps it."""

    def __init__(self, first_call: FirstCall, module: nn.Module) -> None:
        self._first_call, self._module = first_call, module
        self._own = _function(module.forward)

    # ``called`` is another module where DataParallel calls copies of this one.
    def __call__(self, called: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_compiling():
            return
        # Lightning sends training_step through a forward that it puts in for that one call.
        if not torch.is_grad_enabled() or _function(called.forward) is not self._own:
            return
        if self._first_call.seen and not called.training:
            return
        batch, problem, module = None, None, self._module
        try:
            batch = _moved(_as_batch(unwrapped(module), args, kwargs), _device(module))
        except Exception as error:  # no call of the user's may fail for ours
            problem = error
        self._first_call.take(module, batch, problem)

    def __deepcopy__(self, _: Any) -> "_Nothing":
        return _Nothing()

    def __reduce__(self) -> Any:
        return _Nothing, ()


class _Nothing:
    """What a copy of a watched module has for the hook."""

    def __call__(self, *_: Any) -> None:
        """Do nothing."""


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


def _whole(model: nn.Module, optimizer: Moving) -> list[nn.Module]:
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
