"""A block of steps of one compiled function: a small net at the speed of its arithmetic.

A step of a small net is some hundred operations of a few microseconds, most of which goes into
launching them. `limitcycle.lab.engine.step` is one pure function of tensors, so it can be compiled
as it is, with its derivative (`limitcycle.lab.compiler`, a process of its own). What comes out is
a file that is kept in the cache and loaded in a millisecond. Sums are made in another order, so the
last bits differ from the eager engine's; ``run.json`` says which engine a run has.
"""

import contextlib
import functools
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from limitcycle.lab.block import Block
from limitcycle.lab.cache import cache_folder
from limitcycle.lab.engine import Hyper
from limitcycle.lab.feed import Batch, batches, hyper
from limitcycle.lab.functional import State
from limitcycle.lab.setup import Setup
from limitcycle.record import Run
from limitcycle.symmetry import fingerprint

PAYS_FROM = 20_000
"""Updates (of 128 images) of one kind of run in a command that win the compiler's time back."""

_SMALL = ("mlp",)  # convolutions are their own arithmetic: nothing is won there
_POLL_SECONDS = 0.1
_REMEMBERED_SECONDS = 600.0  # that the compiler failed
_COMPILERS = ("g++", "clang++")
_IMAGES = 1_437  # of the digits
_PACKAGE = Path(__file__).parents[1]
# What a step is made of, besides the net: where one changes, all is compiled anew.
_SOURCES = (
    "control/sphere.py",
    "lab/compiler.py",
    "lab/engine.py",
    "lab/functional.py",
    "measure/scalars.py",
)
# Settings that leave the compiled function as it is.
_FREE: tuple[str, ...] = ("lr", "weight_decay", "seed", "schedule", "warmup_steps", "init_scale")
_FREE += ("start_from", "steps", "epochs", "eval_every", "snapshot_every", "train_pass")
_FREE += ("test_size",)
_PRESENCE = ("momentum", "fixed_norm")


class CannotCompileError(Exception):
    """Why there is no compiled step, in one line."""


class Example(NamedTuple):
    """Arguments of a step, by which it is traced."""

    state: State
    batch: Batch
    hyper: Hyper

    def flat(self) -> list[Tensor]:
        """Its tensors: state, batch, hyperparameters, each in their order."""
        return [*self.state.values(), *self.batch, *self.hyper.values()]


def can_pay(run: Run, device: torch.device) -> bool:
    """Whether steps of such a run are faster compiled, if there are enough of them."""
    return run.net in _SMALL and device.type == "cpu"


def worth_compiling(runs: Iterable[Run]) -> frozenset[str]:
    """Identities of those of a command's ``runs`` whose kind makes `PAYS_FROM` updates or more.

    An update of more images than 128 counts for more than one.

    All of a command's runs are to be given, done or not: which engine a run has may not hang on how
    many others are left. ``LIMITCYCLE_COMPILE=0`` in the environment: none.
    """
    if os.environ.get("LIMITCYCLE_COMPILE") == "0":
        return frozenset()
    kinds: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        kinds.setdefault(_kind(run), []).append(run)
    found: set[str] = set()
    for alike in kinds.values():
        if sum(_saved(run) for run in alike) >= PAYS_FROM:
            found.update(run.identity for run in alike)
    return frozenset(found)


def with_engine(
    run: Run, worth: frozenset[str], settings: Mapping[str, Any] | None
) -> dict[str, Any]:
    """``settings`` of `limitcycle.lab.train`, which compile ``run`` where nobody asked otherwise.

    Args:
        run: one of a command's.
        worth: what `worth_compiling` says of them all.
        settings: as they were given.
    """
    found = dict(settings or {})
    if found.get("compile") is None and run.identity in worth:
        found["compile"] = True
    return found


def examples(run: Run, setup: Setup) -> list[Example]:
    """Arguments of an epoch's first step and, where its batch is smaller, of its last."""
    fixed = hyper(run, setup)
    rate = torch.tensor(run.lr, dtype=setup.state["weights"].dtype)
    ends = dict.fromkeys((0, setup.epoch_steps - 1))
    found = [next(batches(run, setup, step, step + 1)) for step in ends]
    if len(found) > 1 and found[0][0].shape == found[1][0].shape:
        found.pop()
    return [Example(setup.state, batch, {**fixed, "lr": rate}) for batch in found]


def compiled(
    run: Run,
    setup: Setup,
    should_stop: Callable[[], bool] = lambda: False,
    notice: Callable[[str], None] = lambda _: None,
) -> Block | None:
    """A block of compiled steps of ``run``, from the cache or compiled now.

    Args:
        run: the run.
        setup: the same, prepared.
        should_stop: asked while the compiler works; then there is no block.
        notice: told, in a line, that it does.

    Raises:
        CannotCompileError: there is no compiler, or it failed.
    """
    found = examples(run, setup)
    code = fingerprint(setup.net.net)
    if code is None:
        raise CannotCompileError("the net's code cannot be told apart from other code")
    names = [_name(code, setup, example) for example in found]
    above = cache_folder()
    with tempfile.TemporaryDirectory(prefix="limitcycle-") as aside:
        for folder in [above / "compiled", Path(aside)] if above else [Path(aside)]:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _compile_missing(run, names, folder, should_stop, notice)
            except OSError:
                continue  # a cache that cannot be written costs time, not the run
            if not all(_there(folder, name) for name in names):
                return None  # it was told to stop
            functions = {
                _layout(example.batch): _Function(folder, name, example)
                for example, name in zip(found, names, strict=True)
            }
            return _Compiled(functions)
    raise CannotCompileError("there is no folder that could be written")


class _Function:
    """A compiled step for batches of one layout."""

    def __init__(self, folder: Path, name: str, example: Example) -> None:
        said = json.loads((folder / f"{name}.json").read_text())
        self.moving, self.row = list(said["moving"]), list(said["row"])
        self.inputs = list(example.state), list(example.hyper)
        try:
            runner = torch._C._aoti.AOTIModelContainerRunnerCpu(str(folder / f"{name}.so"), 1)
        except (AttributeError, RuntimeError, TypeError) as problem:
            raise CannotCompileError(f"torch cannot load what it compiled: {problem}") from None
        self.call: Callable[[list[Tensor]], list[Tensor]] = runner.run


class _Compiled:
    """A `limitcycle.lab.block.Block`."""

    def __init__(self, functions: Mapping[object, _Function]) -> None:
        self._functions = functions
        (self._any, *_) = functions.values()

    def __call__(
        self, state: State, fixed: Hyper, rates: Tensor, batches: Iterable[Batch]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        names, given = self._any.inputs
        moving = [names.index(name) for name in self._any.moving]
        tensors = [state[name].contiguous() for name in names]
        rows = []
        for rate, batch in zip(rates, batches, strict=True):
            function = self._functions[_layout(batch)]
            hypers = [rate if name == "lr" else fixed[name] for name in given]
            made = function.call([*tensors, *batch, *hypers])
            for place, tensor in zip(moving, made, strict=False):
                tensors[place] = tensor
            rows.append(made[len(moving) :])
        table = {
            name: torch.stack([row[at] for row in rows]) for at, name in enumerate(self._any.row)
        }
        return dict(zip(names, tensors, strict=True)), table


def _compile_missing(
    run: Run,
    names: Sequence[str],
    folder: Path,
    should_stop: Callable[[], bool],
    notice: Callable[[str], None],
) -> None:
    """Have the compiler make those of ``names`` that are not in ``folder``; one process at once."""
    if all(_there(folder, name) for name in names):
        return
    _check_compiler()
    failed = folder / f"{names[0]}.failed"
    with _one_at_once(folder / f"{names[0]}.lock", should_stop) as turn:
        if not turn or all(_there(folder, name) for name in names):
            return
        _check_failed(failed)
        notice("compiling the step: once for runs of this kind, then it is kept")
        try:
            _run_compiler(run, names, folder, should_stop)
        except CannotCompileError as problem:
            failed.write_text(str(problem))
            raise


def _check_compiler() -> None:
    """Notice at once what takes torch's compiler seconds to say: that there is none to call."""
    named = os.environ.get("CXX")
    if not any(shutil.which(each) for each in ([named] if named else _COMPILERS)):
        raise CannotCompileError(f"there is no C++ compiler: {named or _COMPILERS[0]}")


def _check_failed(failed: Path) -> None:
    """What failed a moment ago fails again, and many runs may ask for it."""
    with contextlib.suppress(OSError):
        if time.time() - failed.stat().st_mtime < _REMEMBERED_SECONDS:
            raise CannotCompileError(failed.read_text())


@contextlib.contextmanager
def _one_at_once(path: Path, should_stop: Callable[[], bool]) -> Iterator[bool]:
    """Inside, nobody else compiles the same; False where it was told to stop while it waited."""
    lock = FileLock(path)
    while not should_stop():
        try:
            lock.acquire(timeout=_POLL_SECONDS)
        except Timeout:
            continue
        try:
            yield True
        finally:
            lock.release()
        return
    yield False


def _run_compiler(
    run: Run, names: Sequence[str], folder: Path, should_stop: Callable[[], bool]
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as aside:  # gone, too, where it is ended
        task = {
            "run": replace(run, start_from=None).to_dict(),
            "names": list(names),
            "folder": str(folder),
            "aside": aside,
            "threads": torch.get_num_threads(),
        }
        _call_compiler(json.dumps(task), should_stop)


def _call_compiler(task: str, should_stop: Callable[[], bool]) -> None:
    # A session of its own: Ctrl-C is for the training, which then ends the compiler.
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "limitcycle.lab.compiler"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said = ""
    wanted: str | None = task
    while not should_stop():
        try:
            _, said = process.communicate(wanted, timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            wanted = None
            continue
        break
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # with what it has called
        process.communicate()
        return
    if process.returncode:
        lines = said.strip().splitlines() or [f"exit code {process.returncode}"]
        raise CannotCompileError(lines[-1])


def _there(folder: Path, name: str) -> bool:
    return (folder / f"{name}.json").exists()  # written last


def _name(code: str, setup: Setup, example: Example) -> str:
    """Of the compiled function: of all that decides about its machine code."""
    parts = setup.net.parts.values()
    told = (
        code,
        _sources(),
        _processor(),
        torch.get_num_threads(),  # machine code is for so many
        [(slot.name, tuple(slot.shape)) for part in parts for slot in part.slots],
        setup.net.leading,
        list(example.state),
        list(example.hyper),
        [(tuple(each.shape), each.stride(), str(each.dtype)) for each in example.flat()],
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


@functools.cache
def _sources() -> str:
    told = hashlib.sha256()
    for name in _SOURCES:
        told.update((_PACKAGE / name).read_bytes())
    return told.hexdigest()


@functools.cache
def _processor() -> str:
    """What machine code is for: torch's build and the processor's instructions."""
    instructions = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(errors="replace").splitlines()
        instructions = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{torch.__version__} {platform.machine()} {instructions}"


def _layout(batch: Batch) -> object:
    return batch[0].shape, batch[0].stride()


def _saved(run: Run) -> float:
    """What compiling saves in a run, in updates of 128 images; of larger batches more is saved."""
    images = run.train_size or _IMAGES
    size = run.batch_size if isinstance(run.batch_size, int) else images
    updates = run.steps
    if updates is None:
        updates = (run.epochs or 0) * -(-images // size)
    return updates * (size + 256) / 384  # by what benchmarks/compiled.py --shapes says


def _kind(run: Run) -> tuple[object, ...]:
    described: dict[str, Any] = {k: v for k, v in run.to_dict().items() if k not in _FREE}
    for name in _PRESENCE:
        described[name] = described[name] not in (None, 0.0)
    return tuple(described.values())
