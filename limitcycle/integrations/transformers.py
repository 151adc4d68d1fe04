"""A callback for the trainer of Hugging Face Transformers."""

import atexit
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limitcycle.extras import from_extra
from limitcycle.integrations.adapter import Adapter, OnAlarm, ending, unscaled
from limitcycle.measure import inner_optimizer
from limitcycle.sharded import is_sharded
from limitcycle.symmetry import Symmetries
from limitcycle.watching.notice import notice


class TransformersWatch(Adapter):
    """Watches a ``Trainer.train`` of Transformers::

        trainer = Trainer(..., callbacks=[lc.TransformersWatch("runs/mine")])

    The loss of a row is the model's own, as it was propagated back: the sum over the accumulated
    batches of what each contributed. Where training uses another loss than the model's output
    holds (label smoothing, ``compute_loss_func``), it is the one that the trainer logs: a mean
    over ``logging_steps``. A training that goes on from a checkpoint continues its folder.

    Args:
        sink: where rows go besides memory, as of `limitcycle.watch`.
        symmetries: of the model, from `limitcycle.symmetries`; None finds them at the first step.
        every: steps between rows.
        update: measure each step's update, too.
        quiet: say nothing at the end.
        on_alarm: called with the `limitcycle.reading.Forecast` when a jump is about to begin, once
            a jump; of full-batch trainings alone is it known that early.
        forecast_every: steps between two looks for that.

    Raises:
        UserError: Transformers is not installed.
    """

    def __init__(
        self,
        sink: Any = None,
        *,
        symmetries: Symmetries | None = None,
        every: int = 1,
        update: bool = True,
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
        self._losses: list[Tensor] = []
        self._own_loss: bool | None = None  # None: not known yet
        self._scaler: Any = None
        self._seen: Any = None

    @classmethod
    def _bases(cls) -> tuple[type, ...]:
        with from_extra("transformers", "TransformersWatch needs transformers and accelerate"):
            from transformers.trainer_callback import ExportableState, TrainerCallback
        return TrainerCallback, ExportableState

    def state(self) -> dict[str, Any]:
        """What goes into a checkpoint: how far it is, and what is scale-invariant, as JSON."""
        sink, every = self._settings["sink"], self._settings["every"]
        folder = str(sink) if isinstance(sink, str | Path) else None
        given = {"sink": folder, "every": every, "update": self._settings["update"]}
        saved = None if self.watch is None else self.watch.state_dict()
        return {"args": {**given, "quiet": self._settings["quiet"]}, "attributes": {"saved": saved}}

    def on_train_begin(
        self, args: Any, state: Any, control: Any, *, model: nn.Module, optimizer: Any, **_: Any
    ) -> None:
        """Attach: model and optimizer are where they will be trained, in the checkpoint's state."""
        name = type(self).__name__
        stored = state.stateful_callbacks.setdefault(name, self.state())  # old checkpoints lack it
        if not state.is_world_process_zero and not is_sharded(model):
            return
        saved = (stored[-1] if isinstance(stored, list) else stored)["attributes"]["saved"]
        saved = saved or {"step": state.global_step, "symmetries": None}
        self.close(*ending(None))  # an earlier training that raised
        atexit.register(self._left_open)
        self._open(model, inner_optimizer(optimizer), saved if state.global_step else None)
        self._scaler, self._own_loss = getattr(optimizer, "scaler", None), None
        self._seen = model.register_forward_hook(self._see)

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        """What has been propagated back belongs to this step."""
        if self._losses:
            self._loss = unscaled(torch.stack(self._losses).sum(), self._scaler)
            self._own_loss = True

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        """The step has been made, or a scaler has skipped it."""
        self._losses, self._loss = [], None

    def on_log(
        self, args: Any, state: Any, control: Any, *, logs: Mapping[str, Any], **_: Any
    ) -> None:
        """Take the trainer's loss where the model's own is not what is trained on."""
        if self._hook is None or self.watch is None or self._own_loss or "loss" not in logs:
            return
        if self._own_loss is None and args.logging_steps != 1:
            notice(
                "the model's output holds no loss that is trained on: the loss of a row is the one "
                "that the trainer logs, a mean over its steps (logging_steps=1 gives each its own)"
            )
        self._own_loss = False
        self.watch.log(loss=logs["loss"])

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Detach, write what is left, say the diagnosis."""
        self.close("done")

    def close(self, state: str = "stopped", reason: str = "") -> None:
        """Let go of model, optimizer and folder; after an error in a notebook, for example.

        The trainer does not tell its callbacks of errors: in a script this happens at its end.
        """
        atexit.unregister(self._left_open)
        if self._seen is not None:
            self._seen.remove()
            self._seen, self._losses = None, []
        super().close(state, reason)

    def _left_open(self) -> None:
        self.close(*ending(getattr(sys, "last_value", None)))

    def _see(self, model: nn.Module, _: Any, output: Any) -> None:
        """What the output's loss contributes is what comes back through it."""
        loss = _loss_of(output)
        if not model.training or loss is None or not loss.requires_grad or loss.numel() != 1:
            return
        value = loss.detach().clone()  # the trainer may multiply it in place

        def contribute(gradient: Tensor) -> None:
            self._losses.append((gradient * value).reshape(()))

        loss.register_hook(contribute)  # type: ignore[no-untyped-call]


def _loss_of(output: Any) -> Tensor | None:
    """Where the trainer looks for the loss: under its name, or in the first place."""
    if isinstance(output, Mapping):
        loss = output.get("loss")
    else:
        loss = output[0] if isinstance(output, tuple) and output else None
    return loss if isinstance(loss, Tensor) else None
