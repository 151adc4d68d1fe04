"""The training loop: blocks of steps without a look from the host, and between them the record.

A block ends where something has to be done: an epoch's end, an evaluation, a snapshot, or after two
seconds. Where it ends changes nothing in the results.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitcycle.errors import NonFiniteError, RunError, UserError
from limitcycle.lab import machine
from limitcycle.lab.data import augment, order, take
from limitcycle.lab.engine import step
from limitcycle.lab.evaluate import evaluate_test, evaluate_train
from limitcycle.lab.recorder import Recorder
from limitcycle.lab.schedule import learning_rates
from limitcycle.lab.setup import Setup, from_arrays, prepare, to_arrays
from limitcycle.record import LoadedRun, Run, RunFolder, load
from limitcycle.record.files import read_json

_BLOCK_SECONDS = 2.0
_GATHERED = 16  # batches cut from the data set at once: small nets feel each operation
_CARRY = "recorder/sums"
_TIMED = ("training", "evaluation", "recording")


class Progress(NamedTuple):
    """How far a run is: steps done and to do, and the last step's loss, ρ and η/ρ²."""

    step: int
    total: int
    loss: float
    norm: float
    effective_lr: float


def train(
    run: Run,
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    threads: int | None = None,
    record_every: int = 1,
    checkpoint_seconds: float = 20.0,
    stop_after: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Progress], None] = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> LoadedRun:
    """Train ``run`` in folder ``out``, going on from what is there; return it loaded.

    The result depends on ``run`` alone: interrupted in any way and called again, it ends in the
    same tables and weights, bit for bit, on the same kind of machine, torch and thread count.

    Args:
        run: what to train.
        out: the run's folder; made if missing; a finished run returns at once.
        device: where to compute.
        threads: CPU threads; None leaves torch's setting.
        record_every: thin the step table to every n-th step.
        checkpoint_seconds: time between checkpoints, the most that a kill can cost.
        stop_after: seconds after which to stop with a checkpoint (status ``stopped``).
        should_stop: asked between blocks; True stops likewise.
        progress: told between blocks how far the run is.
        notice: told, a line each, what the user should know.

    Raises:
        UserError: the folder holds another run, or the description cannot be run.
        RunError: the loss became non-finite, or the disk failed; what was kept is said.
    """
    device = _device(device)
    out = Path(out)
    _check_settings(record_every, stop_after)
    with machine.threads(threads) as used:
        info = {**machine.describe(device, used), **_origin(run)}
        with RunFolder(out, run, info, notice) as folder:
            _raise_if_failed(folder)
            if folder.status.get("state") != "done":
                setup = _prepared(run, device, folder)
                _introduce(folder, setup, notice)
                deadline = time.monotonic() + stop_after if stop_after else float("inf")
                stop = lambda: should_stop() or time.monotonic() > deadline  # noqa: E731
                _Loop(run, setup, folder, record_every, checkpoint_seconds).go(stop, progress)
    return load(out)


class _Loop:
    """One run under way: its state, its recorder and its clock."""

    def __init__(
        self, run: Run, setup: Setup, folder: RunFolder, every: int, checkpoint_seconds: float
    ) -> None:
        self.run, self.setup, self.folder = run, setup, folder
        self.checkpoint_seconds = checkpoint_seconds
        self.device = setup.state["weights"].device
        self.state, self.done, carried = self._resume()
        self.recorder = Recorder(setup, every, carried)
        self.seconds = _spent(folder) if self.done else dict.fromkeys(_TIMED, 0.0)
        self.pace = 64.0  # steps a second, first guess: only the length of the first block

    def go(self, stop: Callable[[], bool], progress: Callable[[Progress], None]) -> None:
        """Train to the end, or until told to stop."""
        total = self.setup.total_steps
        self.folder.set_status("running", self.done)
        saved = time.monotonic()
        try:
            if self.done == 0:
                self.evaluate()
            while self.done < total and not stop():
                self.advance(self.block_end())
                if self.done % self.setup.eval_every == 0 or self.done == total:
                    self.evaluate()
                if self.run.snapshot_every and self.done % self.run.snapshot_every == 0:
                    self.folder.snapshot(self.done, to_arrays(self.setup.net, self.state))
                if time.monotonic() - saved >= self.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
                progress(self.progress())
        except KeyboardInterrupt:
            # It may have come in the middle of a block: the last checkpoint is what is sound.
            self.folder.set_status("stopped", self.done, "interrupted")
            raise
        except RunError as problem:
            with contextlib.suppress(RunError, UserError):  # the disk may be what failed
                final = isinstance(problem, NonFiniteError)
                self.folder.set_status("failed", self.done, str(problem), final=final)
            raise
        ended = self.done >= total
        self.finish("done" if ended else "stopped", "" if ended else "stopped before its end")

    def block_end(self) -> int:
        """The step at which the next block ends."""
        ends = [self.setup.epoch_steps, self.setup.eval_every, self.run.snapshot_every or 0]
        boundaries = [(self.done // every + 1) * every for every in ends if every]
        if self.setup.epoch_steps == 1:  # full batch: its epochs are steps
            boundaries = boundaries[1:]
        seconds = self.done + max(1, int(self.pace * _BLOCK_SECONDS))
        return min(*boundaries, seconds, self.setup.total_steps)

    def advance(self, end: int) -> None:
        """Make the updates from here to ``end``; nothing is read back to the host on the way."""
        began = time.monotonic()
        steps = np.arange(self.done, end)
        lr = learning_rates(self.run, self.setup.total_steps, steps)
        fixed = hyper(self.run, self.setup)
        rates = torch.as_tensor(lr, dtype=self.state["weights"].dtype, device=self.device)
        state, rows = self.state, []
        for rate, batch in zip(rates, batches(self.run, self.setup, self.done, end), strict=True):
            state, row = step(self.setup.net, state, batch, {**fixed, "lr": rate})
            rows.append(row)
        values = {name: torch.stack([row[name] for row in rows]).cpu().numpy() for name in rows[0]}
        values["loss"] = values["loss"].astype(np.float64)
        values["lr"] = lr
        self.seconds["training"] += (elapsed := time.monotonic() - began)
        self.pace = len(steps) / max(elapsed, 1e-9)
        self.check_finite(values)
        self.recorder.add_steps(self.done, values)
        self.state, self.done = state, end

    def check_finite(self, rows: dict[str, NDArray[Any]]) -> None:
        """Stop at the first loss that is not finite, with everything up to it kept."""
        bad = np.flatnonzero(~np.isfinite(rows["loss"]))
        if not len(bad):
            return
        at = int(bad[0])
        if self.done:
            self.save()  # the last state known to be sound
        self.recorder.add_steps(
            self.done, {name: column[: at + 1] for name, column in rows.items()}
        )
        self.folder.append(*self.recorder.take())
        weights = f" and its weights at step {self.done:,}" if self.done else ""
        raise NonFiniteError(
            f"the loss is {rows['loss'][at]} at step {self.done + at:,}: the run ends there; its "
            f"tables up to that step{weights} are kept in {self.folder.path}"
        )

    def evaluate(self) -> None:
        """Add a row to the epoch table."""
        began = time.monotonic()
        test = evaluate_test(self.setup, self.state).cpu().numpy()
        asked = self.run.train_pass
        trained = evaluate_train(self.setup, self.state).cpu().numpy() if asked else None
        n = self.setup.net.leading
        norm = float(torch.linalg.vector_norm(self.state["weights"][:n], dtype=torch.float64))
        lr = learning_rates(self.run, self.setup.total_steps, np.array([self.done]))[0]
        self.recorder.add_epoch(self.done, float(lr), norm, test, trained)
        self.seconds["evaluation"] += time.monotonic() - began

    def save(self) -> None:
        """Write the rows since the last time and a checkpoint."""
        began = time.monotonic()
        arrays = {**to_arrays(self.setup.net, self.state), _CARRY: self.recorder.carry()}
        self.folder.save(self.done, *self.recorder.take(), arrays)
        self.folder.set_status("running", self.done)
        self.seconds["recording"] += time.monotonic() - began

    def finish(self, state: Any, reason: str) -> None:
        """Write everything and say how the run ended."""
        if self.done:
            self.save()
        self.folder.write_json("timing.json", {"seconds": self.seconds, "steps": self.done})
        self.folder.set_status(state, self.done, reason)

    def progress(self) -> Progress:
        """How far the run is."""
        return Progress(self.done, self.setup.total_steps, *self.recorder.latest)

    def _resume(self) -> tuple[dict[str, Tensor], int, Any]:
        checkpoint = self.folder.resume()
        if checkpoint is None:
            return self.setup.state, 0, None
        arrays = checkpoint.arrays
        source = f"the checkpoint in {self.folder.path}"
        state = from_arrays(self.setup.net, arrays, self.setup.state, source=source)
        return state, checkpoint.completed, arrays[_CARRY]


def batches(run: Run, setup: Setup, first: int, end: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels for the steps from ``first`` to before ``end``, on the device."""
    data, size = setup.data, setup.batch_size
    count, device = len(data.train_labels), data.train_labels.device
    epoch_now, shuffled = -1, data.train_labels
    t = first
    while t < end:
        epoch, position = divmod(t, setup.epoch_steps)
        if epoch != epoch_now:
            epoch_now, shuffled = epoch, order(run.seed, epoch, count).to(device)
        ahead = min(end - t, setup.epoch_steps - position, _GATHERED)
        if size == count:  # the whole set in its own order: a sum needs no shuffling
            images, labels = data.train_images, data.train_labels
        else:
            which = shuffled[position * size : (position + ahead) * size]
            images, labels = take(data.train_images, which), data.train_labels[which]
        for batch in zip(torch.split(images, size), torch.split(labels, size), strict=True):
            yield (augment(batch[0], data.black, run.seed, t), batch[1]) if run.augment else batch
            t += 1


def hyper(run: Run, setup: Setup) -> dict[str, Tensor]:
    """The hyperparameters that do not change from step to step, as scalar tensors."""
    like = setup.state["weights"]
    values = {"weight_decay": run.weight_decay}
    if run.momentum:
        values["momentum"] = run.momentum
    tensors = {
        name: torch.tensor(value, dtype=like.dtype, device=like.device)
        for name, value in values.items()
    }
    if setup.norm is not None:
        tensors["norm"] = torch.tensor(setup.norm, dtype=torch.float64, device=like.device)
    return tensors


def _check_settings(record_every: int, stop_after: float | None) -> None:
    if record_every < 1:
        raise UserError(f"record_every must be at least 1, not {record_every}")
    if stop_after is not None and not stop_after > 0:
        raise UserError(f"stop_after must be positive, not {stop_after}")


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).splitlines()[0]
        raise UserError(f"device {str(device)!r} cannot be used: {reason}") from None
    return found


def _prepared(run: Run, device: torch.device, folder: RunFolder) -> Setup:
    """The run's setup; a folder claimed for a run that cannot be made is given back."""
    try:
        return prepare(run, device)
    except UserError:
        folder.abandon()
        raise
    except (RuntimeError, MemoryError) as problem:  # torch's allocators raise RuntimeError
        if "memory" not in str(problem):
            raise
        folder.abandon()
        raise UserError(
            f"the net or its data do not fit into the memory of {device}: choose a smaller width, "
            "resolution or train_size"
        ) from None


def _spent(folder: RunFolder) -> dict[str, float]:
    """Seconds that went into the run before it was stopped; what a kill cost is not known."""
    path = folder.path / "timing.json"
    known = read_json(path)["seconds"] if path.exists() else {}
    return {name: float(known.get(name, 0.0)) for name in _TIMED}


def _origin(run: Run) -> dict[str, str]:
    """What pins down a run that starts from a checkpoint: the file's content, not only its name."""
    if run.start_from is None:
        return {}
    try:
        content = Path(run.start_from).read_bytes()
    except OSError as problem:
        raise UserError(f"start_from {run.start_from}: {problem.strerror}") from None
    return {"start_from_digest": sha256(content).hexdigest()[:16]}


def _raise_if_failed(folder: RunFolder) -> None:
    """A run that failed by itself fails again: say so instead of computing it anew."""
    status = folder.status
    if status.get("final"):
        raise NonFiniteError(status["reason"])


def _introduce(folder: RunFolder, setup: Setup, notice: Callable[[str], None]) -> None:
    """Keep and say what was found out about the run before its first step."""
    found = {**setup.symmetries.to_dict(), "measured": list(setup.measured)}
    folder.write_json("symmetries.json", found)
    folder.add_info(train_size=len(setup.data.train_labels), epoch_steps=setup.epoch_steps)
    if setup.data.remark:
        folder.add_info(remark=setup.data.remark)
        notice(setup.data.remark)
    if not set(setup.measured) <= set(setup.symmetries.scale_invariant):
        notice("nothing in this net is scale-invariant: ρ is the norm of all its weight matrices")
