"""A callback for Lightning's trainer, under both names that the package has."""

import importlib
import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.extras import missing_extra
from limitcycle.integrations.adapter import Adapter, OnAlarm, ending, unscaled
from limitcycle.symmetry import Symmetries
from limitcycle.watching.loggers.curves import foretold
from limitcycle.watching.refused import check

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")
_LOGGED = ("norm", "effective_lr", "effective_grad_norm", "rotation")


class LightningWatch(Adapter):
    """Watches a ``Trainer.fit``, of ``lightning`` or of ``pytorch_lightning``::

        trainer = Trainer(callbacks=[lc.LightningWatch("runs/mine")])

    The loss of a row is that of ``training_step`` (or of each ``manual_backward``), averaged over
    the batches that were accumulated. A fit that goes on from a checkpoint continues its folder.

    Args:
        sink: where rows go besides memory, as of `limitcycle.watch`.
        model: the part of the module to watch, by name (``"net"``, ``"net.backbone"``) or as a
            function of the module; None: the module itself. Scaling symmetries are found with
            the first call of that part, or of a module in it that holds all its trained weights.
        optimizer: which one, where the module has several and one is to be watched; None: all
            that move a weight of that part. Then a row is a turn of them all, and its loss the mean
            of what was propagated back before each of their steps.
        symmetries: of that part, from `limitcycle.symmetries`; None finds them.
        every: steps between rows.
        update: measure each step's update, too.
        log: hand norm, effective learning rate, effective gradient norm and rotation, and the
            forecast of the next jump where there is one, to the trainer's loggers, every
            ``log_every_n_steps`` steps, as ``limitcycle/…``.
        quiet: say nothing at the end.
        on_alarm: called with the `limitcycle.reading.Forecast` when a jump is about to begin, once
            a jump; of full-batch trainings alone is it known that early.
        forecast_every: steps between two looks for that.

    Raises:
        UserError: Lightning is not installed.
    """

    def __init__(
        self,
        sink: Any = None,
        *,
        model: str | Callable[[Any], nn.Module] | None = None,
        optimizer: int | None = None,
        symmetries: Symmetries | None = None,
        every: int = 1,
        update: bool = True,
        log: bool = False,
        quiet: bool = False,
        on_alarm: OnAlarm | None = None,
        forecast_every: int = 100,
    ) -> None:
        super().__init__(
            sink,
            on_alarm=on_alarm,
            forecast_every=forecast_every,
            symmetries=symmetries,
            every=every,
            update=update,
            quiet=quiet,
        )
        self._part, self._index, self._log = model, optimizer, log
        self._optimizers: list[Optimizer] = []
        self._losses: list[Tensor] = []
        self._logged = 0
        self._saved: dict[str, Any] | None = None

    @classmethod
    def _bases(cls) -> tuple[type, ...]:
        """Of the package in use; of both, where both are: then either trainer is content."""
        used = [name for name in _PACKAGES if name in sys.modules]
        found = [_callback(name) for name in used] or [_first_of(_PACKAGES)]
        return tuple(dict.fromkeys(found))

    @property
    def state_key(self) -> str:
        """The name of its state in a checkpoint: one for each optimizer and part."""
        part = self._part if isinstance(self._part, str) else ""
        return f"{self._defined.__qualname__}(optimizer={self._index}, model={part!r})"

    def state_dict(self) -> dict[str, Any]:
        """What goes into a checkpoint: how far it is, and what is scale-invariant."""
        return {} if self.watch is None else self.watch.state_dict()

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Keep what a checkpoint says until the fit begins; one that is tested says nothing."""
        if trainer.state.fn == "fit":
            self._saved = checkpoint["callbacks"].get(self.state_key)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Attach: model and optimizer are where they will be trained, in the checkpoint's state."""
        if not trainer.is_global_zero:
            return
        self.close(*ending(None))
        part = _part_of(pl_module, self._part)
        self._optimizers = _chosen(trainer.optimizers, self._index, part)
        for optimizer in self._optimizers:
            check(trainer.strategy.model, optimizer)
        state = self._begun(trainer) if trainer.global_step else None
        self._open(part, self._optimizers, state)
        self._logged, self._saved, self._losses = 0, None, []

    def _begun(self, trainer: Any) -> dict[str, Any] | None:
        """How far a fit was that goes on; by the trainer's count if it was not watched so far."""
        if state := self._saved or self.state_dict():
            return state
        if len(trainer.optimizers) > 1:  # the trainer adds up the steps of all
            return None
        return {"step": trainer.global_step, "symmetries": None}

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        """Keep the loss of a batch; the trainer has divided it by the number to accumulate."""
        if self._hook is not None and loss.numel() == 1:
            scaler = getattr(trainer.precision_plugin, "scaler", None)
            whole = unscaled(loss.detach(), scaler) * trainer.accumulate_grad_batches
            self._losses.append(whole.reshape(()))

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Optimizer) -> None:
        """What has been propagated back belongs to this optimizer's step.

        An optimizer that evaluates its closure again (L-BFGS) has asked about x_t first; one whose
        step a scaler skipped asks anew.
        """
        losses, self._losses = self._losses, []
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        watched = any(optimizer is each for each in self._optimizers)
        if watched and losses and (self._loss is None or scaled):
            self._loss = torch.stack(losses).mean()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Tell the trainer's loggers, at their pace."""
        if not self._log or self.watch is None or self.watch.step == self._logged:
            return
        self._logged = self.watch.step
        if self._logged % trainer.log_every_n_steps == 0:
            row = self.watch.latest()
            told = {f"limitcycle/{name}": row[name] for name in _LOGGED if math.isfinite(row[name])}
            told |= foretold(self.watch.forecast())
            for logger in trainer.loggers:
                logger.log_metrics(told, step=int(row["step"]))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Detach, write what is left, say the diagnosis."""
        self.close("done")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Detach, and keep the reason."""
        self.close(*ending(exception))


def _callback(package: str) -> type:
    found: type = importlib.import_module(package).Callback
    return found


def _first_of(packages: tuple[str, ...]) -> type:
    for package in packages:
        try:
            return _callback(package)
        except ModuleNotFoundError as problem:
            if problem.name not in (package, package.split(".")[0]):
                raise
    raise missing_extra("LightningWatch needs Lightning", "lightning")


def _chosen(optimizers: list[Optimizer], index: int | None, part: nn.Module) -> list[Optimizer]:
    """The one that was asked for, or all that move a weight of ``part``."""
    if index is None:
        weights = {id(weight) for weight in part.parameters()}
        return [each for each in optimizers if _moves_any(each, weights)] or optimizers
    if not -len(optimizers) <= index < len(optimizers):
        raise UserError(f"there is no optimizer {index}: the module has {len(optimizers)}")
    return [optimizers[index]]


def _moves_any(optimizer: Optimizer, weights: set[int]) -> bool:
    moved = (weight for group in optimizer.param_groups for weight in group["params"])
    return any(id(weight) in weights for weight in moved)


def _part_of(module: nn.Module, part: str | Callable[[Any], nn.Module] | None) -> nn.Module:
    if part is None:
        return module
    if not isinstance(part, str):
        return part(module)
    try:
        return module.get_submodule(part)
    except AttributeError:
        names = ", ".join(name for name, _ in module.named_children()) or "none"
        raise UserError(f"the module has no part {part!r}; its parts are: {names}") from None
