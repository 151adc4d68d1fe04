"""One run under way: its state, its folder, its rows and its clock. It computes nothing itself."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from limitcycle.errors import NonFiniteError, RunError, UserError
from limitcycle.lab.functional import State
from limitcycle.lab.recorder import Recorder
from limitcycle.lab.schedule import learning_rates
from limitcycle.lab.setup import Setup, from_arrays, to_arrays
from limitcycle.record import Run, RunFolder
from limitcycle.record.described import read_seconds

_CARRY = "recorder/sums"
_TIMED = ("training", "evaluation", "recording")

StepRows = Mapping[str, NDArray[Any]]


class Progress(NamedTuple):
    """How far a run is: steps done and to do, and the last step's loss, ρ and η/ρ²."""

    step: int
    total: int
    loss: float
    norm: float
    effective_lr: float


class Member:
    """A run under way, by itself or together with others.

    Args:
        run: what is trained.
        setup: the run, prepared.
        folder: its folder; the run goes on from what is there.
        every: thin the step table to every n-th step.

    Attributes:
        state: after ``done`` updates.
        seconds: that went into it, by what for.
        problem: what ended it before its end, if something did.
    """

    def __init__(self, run: Run, setup: Setup, folder: RunFolder, every: int) -> None:
        self.run, self.setup, self.folder = run, setup, folder
        self.state, self.done, carried = self._resume()
        self.problem: RunError | UserError | None = None
        self.seconds = _spent(folder) if self.done else dict.fromkeys(_TIMED, 0.0)
        self._saved = self.done
        self._recorder = Recorder(setup, every, carried)

    @property
    def under_way(self) -> bool:
        """Whether updates are left to make."""
        return self.problem is None and self.done < self.setup.total_steps

    @property
    def evaluation_due(self) -> bool:
        """Whether the epoch table gets a row after the last update."""
        return self.done % self.setup.eval_every == 0 or self.done == self.setup.total_steps

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        return Progress(self.done, self.setup.total_steps, *self._recorder.latest)

    def learning_rates(self, first: int, end: int) -> NDArray[np.float64]:
        """η of the steps from ``first`` to before ``end``."""
        return learning_rates(self.run, self.setup.total_steps, np.arange(first, end))

    @contextlib.contextmanager
    def contained(self) -> Iterator[None]:
        """What goes wrong with the run inside ends it, and says so; it does not end others."""
        try:
            yield
        except UserError as problem:
            self.problem = problem
        except RunError as problem:
            self.problem = problem
            with contextlib.suppress(RunError, UserError):  # the disk may be what failed
                final = isinstance(problem, NonFiniteError)
                self.folder.set_status("failed", self.done, str(problem), final=final)
        if self.problem is not None:
            self.state = {}  # which may be a view that keeps the state of others alive

    def begin(self) -> None:
        """Say that the run is under way."""
        self.folder.set_status("running", self.done)

    def keep(self, end: int, state: State, rows: StepRows) -> None:
        """Take the state after the updates up to ``end``, and their rows: the engine's and ``lr``.

        Raises:
            NonFiniteError: a loss is not finite. Everything up to it is kept, and the run's state
                stays what it was.
        """
        self._check_finite(rows)
        self._recorder.add_steps(self.done, rows)
        self.state, self.done = dict(state), end

    def add_evaluation(self, measured: NDArray[np.float64]) -> None:
        """Add a row to the epoch table: what `limitcycle.lab.evaluate.evaluate` says."""
        norm, test, trained = float(measured[0]), measured[1:3], measured[3:]
        lr = float(self.learning_rates(self.done, self.done + 1)[0])
        self._recorder.add_epoch(self.done, lr, norm, test, trained if len(trained) else None)

    def keep_weights(self) -> None:
        """Keep the weights for good where it is time to."""
        if self.run.snapshot_every and self.done % self.run.snapshot_every == 0:
            self.folder.snapshot(self.done, to_arrays(self.setup.net, self.state))

    def save(self) -> None:
        """Write the rows since the last time and a checkpoint; nothing where nothing was done."""
        if self.done == self._saved:
            return
        began = time.monotonic()
        arrays = {**to_arrays(self.setup.net, self.state), _CARRY: self._recorder.carry()}
        self.folder.save(self.done, *self._recorder.take(), arrays)
        self.folder.set_status("running", self.done)
        self._saved = self.done
        self.seconds["recording"] += time.monotonic() - began

    def finish(self) -> None:
        """Write everything and say how the run ended."""
        self.save()
        self.folder.write_json("timing.json", {"seconds": self.seconds, "steps": self.done})
        if self.under_way:
            self.folder.set_status("stopped", self.done, "stopped before its end")
        else:
            self.folder.set_status("done", self.done)

    def interrupt(self) -> None:
        """Say that the run was interrupted; nothing of this moment is sound to write."""
        self.folder.set_status("stopped", self.done, "interrupted")

    def fail_for_memory(self) -> None:
        """Say that there was no memory for the next step; nothing of this moment is written.

        Raises:
            RunError: always, except for a run that is done.
        """
        if self.folder.status.get("state") == "done":
            return
        kept = "nothing is kept"
        if self._saved:
            kept = f"the same command goes on from step {self._saved:,}"
        raise RunError(
            f"out of memory at step {self.done:,}: {kept}; fewer runs at once need less (workers, "
            "together), and so does a smaller width, resolution or batch_size"
        )

    def _check_finite(self, rows: StepRows) -> None:
        """Stop at the first loss that is not finite, with everything up to it kept."""
        bad = np.flatnonzero(~np.isfinite(rows["loss"]))
        if not len(bad):
            return
        at = int(bad[0])
        self.save()  # the last state known to be sound
        self._recorder.add_steps(
            self.done, {name: column[: at + 1] for name, column in rows.items()}
        )
        self.folder.append(*self._recorder.take())
        weights = f" and its weights at step {self.done:,}" if self.done else ""
        raise NonFiniteError(
            f"the loss is {rows['loss'][at]} at step {self.done + at:,}: the run ends there; its "
            f"tables up to that step{weights} are kept in {self.folder.path}"
        )

    def _resume(self) -> tuple[dict[str, Tensor], int, Any]:
        checkpoint = self.folder.resume()
        if checkpoint is None:
            return self.setup.state, 0, None
        arrays = checkpoint.arrays
        source = f"the checkpoint in {self.folder.path}"
        state = from_arrays(self.setup.net, arrays, self.setup.state, source=source)
        if _CARRY not in arrays:
            raise UserError(f"{source} is a snapshot and no checkpoint: restore the checkpoint")
        return state, checkpoint.completed, arrays[_CARRY]


def _spent(folder: RunFolder) -> dict[str, float]:
    """Seconds that went into the run before it was stopped; what a kill cost is not known."""
    known = read_seconds(folder.path)
    return {name: known.get(name, 0.0) for name in _TIMED}
