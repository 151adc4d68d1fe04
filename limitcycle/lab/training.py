"""Training one run in a folder of its own: open it, prepare the run, let it loop, close it."""

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from limitcycle.checks import usable_path
from limitcycle.errors import NonFiniteError, UserError
from limitcycle.lab import machine
from limitcycle.lab.block import Block, launched
from limitcycle.lab.compiled import CannotCompileError, can_pay, compiled, worth_compiling
from limitcycle.lab.data import Dataset
from limitcycle.lab.engine import step
from limitcycle.lab.evaluate import evaluate
from limitcycle.lab.feed import batches, hyper
from limitcycle.lab.fits import refuse_impossible
from limitcycle.lab.graph import replayed
from limitcycle.lab.how import How
from limitcycle.lab.loop import Advanced, Loop
from limitcycle.lab.member import Member
from limitcycle.lab.member import Progress as Progress
from limitcycle.lab.setup import Setup, prepare
from limitcycle.late import late
from limitcycle.record import LoadedRun, Run, RunFolder, load
from limitcycle.record.described import read_info
from limitcycle.record.files import is_there
from limitcycle.record.folder import is_finished


def train(
    run: Run,
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    threads: int | None = None,
    precision: machine.Precision = "highest",
    graph: bool = True,
    compile: bool | None = None,
    record_every: int = 1,
    checkpoint_seconds: float = 20.0,
    stop_after: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Progress], None] | bool = False,
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
        precision: of products in float32 runs: ``highest`` (float32), ``tf32`` (CUDA) or ``bf16``.
        graph: on CUDA, replay the step as a CUDA graph.
        compile: compile the step of a small net on a CPU; None: where the run is long enough for
            that (`limitcycle.lab.compiled`). A run that was begun keeps its engine, unless False.
        record_every: thin the step table to every n-th step.
        checkpoint_seconds: time between checkpoints, the most that a kill can cost.
        stop_after: seconds after which to stop with a checkpoint (status ``stopped``).
        should_stop: asked between blocks; True stops likewise.
        progress: told between blocks how far the run is; True shows a bar, in a notebook, too.
        notice: told, a line each, what the user should know.

    Raises:
        UserError: the folder holds another run, or the description cannot be run.
        RunError: the loss became non-finite, or the disk failed; what was kept is said.
    """
    out = usable_path(out, "out")
    how = How(
        device, threads, precision, graph, compile, record_every, checkpoint_seconds, stop_after
    )
    check_new(run, out, how)
    tell = _told(progress, out.name)
    with how.computing(run) as info:
        described = {**info, **origin(run)}
        if is_finished(out, run, described):
            return load(out)
        with RunFolder(out, run, described, notice) as folder:
            member = under_way(run, folder, how, notice)
            if member is not None:
                stop = how.until(should_stop)
                block = _block_of(member, how, stop, notice)
                loop = Loop([member], Alone(block), checkpoint_seconds)
                loop.go(stop, lambda _, now: tell(now))
                if member.problem is not None:
                    raise member.problem
    return load(out)


def _told(progress: Callable[[Progress], None] | bool, name: str) -> Callable[[Progress], None]:
    if callable(progress):
        return progress
    shown: Callable[[Progress], None] = late("notebook", "bar")(name) if progress else _quiet
    return shown


def _quiet(_: Progress) -> None:
    """Nobody wants to know."""


def check_new(run: Run, out: Path, how: How) -> None:
    """Refuse a run that cannot be made, unless it was begun: then its folder says how far it is."""
    if not is_there(out / "run.json"):
        refuse_impossible(run, how.where)


class Alone:
    """Computes for one run by itself, with ``block``."""

    def __init__(self, block: Block) -> None:
        self._block = block

    def advance(self, group: Sequence[Member], end: int) -> list[Advanced]:
        """See `limitcycle.lab.loop.Computer`."""
        (member,) = group
        run, setup, state = member.run, member.setup, member.state
        lr = member.learning_rates(member.done, end)
        rates = torch.as_tensor(lr, dtype=state["weights"].dtype, device=state["weights"].device)
        feed = batches(run, setup, member.done, end)
        state, rows = self._block(state, hyper(run, setup), rates, feed)
        values = {name: row.cpu().numpy() for name, row in rows.items()}
        values["loss"] = values["loss"].astype(np.float64)
        return [Advanced(state, {**values, "lr": lr})]

    def evaluate(self, group: Sequence[Member]) -> NDArray[np.float64]:
        """See `limitcycle.lab.loop.Computer`."""
        (member,) = group
        asked = member.run.train_pass
        measured = evaluate(member.setup, member.state, train_pass=asked)
        return measured.cpu().numpy()[None]


def _block_of(
    member: Member, how: How, stop: Callable[[], bool], notice: Callable[[str], None]
) -> Block:
    """What makes its steps; its ``run.json`` says which engine that is."""
    one = partial(step, member.setup.net)
    if how.graphs:
        return replayed(one)
    if _to_be_compiled(member, how):
        try:
            block = compiled(member.run, member.setup, stop, notice)
        except CannotCompileError as why:
            notice(f"the step cannot be compiled ({why}): the run takes longer")
        else:
            if block is not None:
                member.folder.add_info(engine="compiled")
                return block
            return launched(one)  # of which no step will be made: it was told to stop
    if _engine(member) == "compiled" and member.done:
        notice(f"from step {member.done:,} on it is computed eagerly: the last bits may differ")
    member.folder.add_info(engine="eager")
    return launched(one)


def _to_be_compiled(member: Member, how: How) -> bool:
    if how.compile is False or how.precision != "highest" or not can_pay(member.run, how.where):
        return False
    began = _engine(member)
    if began is not None:
        return began == "compiled"
    if member.done:  # by a version that knew one engine
        return False
    return how.compile or member.run.identity in worth_compiling([member.run])


def _engine(member: Member) -> str | None:
    """With which it was begun; None where nobody said."""
    return read_info(member.folder.path).get("engine")


def under_way(
    run: Run,
    folder: RunFolder,
    how: How,
    notice: Callable[[str], None],
    data: Dataset | None = None,
) -> Member | None:
    """The run in its folder, ready to go on; None where it is finished.

    Args:
        run: what to train.
        folder: given back where it was claimed for a run that cannot be made.
        how: to compute.
        notice: told, a line each, what the user should know.
        data: the run's data set, where another run has loaded it.

    Raises:
        UserError: the run cannot be made.
        NonFiniteError: it failed by itself, and would again.
    """
    status = folder.status
    if status.get("final"):
        raise NonFiniteError(status["reason"])
    if status.get("state") == "done":
        return None
    try:
        setup = prepare(run, how.where, data, bf16=how.precision == "bf16")
        _refuse_other_data(folder, setup.data)
        _introduce(folder, setup, notice)
        return Member(run, setup, folder, how.record_every)
    except BaseException as problem:
        folder.abandon()  # whatever it is, nothing was begun that would have to be kept
        if not machine.out_of_memory(problem):
            raise
        raise UserError(
            f"the net or its data do not fit into the memory of {how.device}: choose a smaller "
            "width, resolution or train_size"
        ) from None


def origin(run: Run) -> dict[str, str]:
    """What pins down a run that starts from a checkpoint: the file's content, not only its name."""
    if run.start_from is None:
        return {}
    try:
        content = Path(run.start_from).read_bytes()
    except OSError as problem:
        raise UserError(f"start_from {run.start_from}: {problem.strerror}") from None
    return {"start_from_digest": sha256(content).hexdigest()[:16]}


def _refuse_other_data(folder: RunFolder, data: Dataset) -> None:
    """Refuse to go on with other images than the run began with; earlier versions kept no digest.

    Raises:
        UserError: pixels, labels or their order differ.
    """
    began = read_info(folder.path).get("data_digest", data.digest)
    if began != data.digest:
        raise UserError(
            f"{folder.path} began on other data (digest {began} there, {data.digest} here): "
            "restore those data, or choose another --out"
        )


def _introduce(folder: RunFolder, setup: Setup, notice: Callable[[str], None]) -> None:
    """Keep and say what was found out about the run before its first step."""
    found = {**setup.symmetries.to_dict(), "measured": list(setup.measured)}
    folder.write_json("symmetries.json", found)
    folder.add_info(train_size=len(setup.data.train_labels), epoch_steps=setup.epoch_steps)
    folder.add_info(data_digest=setup.data.digest)
    if setup.data.remark:
        folder.add_info(remark=setup.data.remark)
        notice(setup.data.remark)
    if not set(setup.measured) <= set(setup.symmetries.scale_invariant):
        notice("nothing in this net is scale-invariant: ρ is the norm of all its weight matrices")
