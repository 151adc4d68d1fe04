"""Attach to a training run: two lines in somebody else's script."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.late import late
from limitcycle.measure import InnerProducts, Together, together
from limitcycle.reading import Diagnosis, Forecast, RunData, diagnose
from limitcycle.reading.decayed import without
from limitcycle.reading.forecast import withheld
from limitcycle.reading.live import Live
from limitcycle.reading.optimizers import UpdateRule
from limitcycle.record.schema import STEP_COLUMNS, WATCHED_COLUMNS
from limitcycle.sharded import WireError, in_company, is_first, is_sharded
from limitcycle.symmetry import Symmetries, trainable
from limitcycle.watching.attribution import Attribution
from limitcycle.watching.budget import Budget
from limitcycle.watching.buffer import GramBuffer, Row, Total
from limitcycle.watching.company import Company, Shares
from limitcycle.watching.confirmed import leaking
from limitcycle.watching.groups import (
    Watched,
    dtypes_of,
    in_part,
    joint_names,
    kind_of_net,
    notes_of,
)
from limitcycle.watching.hooks import Hooks
from limitcycle.watching.memory import Memory
from limitcycle.watching.newest import newest_row
from limitcycle.watching.notice import notice
from limitcycle.watching.refused import check, check_gradients
from limitcycle.watching.ruled import notes_of_rules, rules_of
from limitcycle.watching.second_moment import second_moments
from limitcycle.watching.settings import facts, run_info, settings_of
from limitcycle.watching.sinks import Parquet, Sinks
from limitcycle.watching.subject import Subject, said
from limitcycle.watching.table import joint_groups, rows_of
from limitcycle.watching.team import SCALER, Team, TeamHooks

_MEASURED = {"step", *STEP_COLUMNS, *WATCHED_COLUMNS} - {"loss", "epoch"}
READ_AFTER = 10.0  # seconds between two readings of what lies on the device
PATIENCE = 120.0  # seconds that processes wait for one another before watching ends


def watch(
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    symmetries: Symmetries | str | Iterable[str] | None = None,
    *,
    every: int = 1,
    sink: Any = None,
    update: bool = True,
    quiet: bool = False,
    budget: float | None = None,
    share: bool = False,
    timeout: float = PATIENCE,
) -> "Watch":
    """Measure every step of a training run without changing a bit of it.

    ::

        with lc.watch(model, optimizer) as w:
            for batch in batches:
                ...
                optimizer.step()
                w.log(loss=loss)

    Row t describes the weights x_t and the gradient that update t uses: after accumulation,
    clipping, averaging over processes, and without a `torch.amp.GradScaler`'s factor.

    Args:
        model: as it is trained; wrappers of DDP and ``torch.compile`` are looked through.
        optimizer: any `torch.optim.Optimizer` that moves the model's parameters, or a list of
            those that move it in turn; one that only holds others is looked through. A row is
            then of a turn of all; who makes no step in it has no gradient and no update there.
        symmetries: of `limitcycle.symmetries`, or names or patterns (``"*.conv?.weight"``) of
            tensors that are scale-invariant, each by itself. None finds them with the arguments
            of the first forward pass, at the first step. Where they cannot be found all weights
            are watched as one, with a row for each tensor, and the run is not judged.
        every: steps between rows.
        sink: where rows go besides memory: a folder (the lab's format), a sink of
            `limitcycle.watching` (``TensorBoard``, ``WandB``, ``MLflow``, …), a SummaryWriter, a
            run of W&B or MLflow, a function of two frames, or a list of these.
        update: measure each step's update, too: rotation, cosine distance, relative update.
        quiet: say nothing on closing.
        budget: share of the training's time that rows may take (0.01: one per cent); watching
            finds out how many steps lie between two rows for that, follows a training whose steps
            become longer or shorter, and says so. On a CPU, in one process.
        share: every process measures a part of the weights, instead of the first one all of them;
            all must then watch. Where weights are sharded it is so anyhow; under DDP it divides
            the cost, and the stages of a pipeline need it.
        timeout: seconds that such processes wait for one another before watching ends.

    Returns:
        the watch, attached; it ends with its ``with`` block or by `Watch.close`.

    Raises:
        UserError: what cannot be measured (FSDP with flat parameters, DeepSpeed, parameters on
            several devices), or no sink, by name. Later nothing is raised: watching that fails
            says so and ends, the training goes on.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise UserError(f"every must be a whole number of at least 1, not {every!r}")
    movers = together(optimizer)
    for member in movers.members:
        check(model, member)
    if isinstance(timeout, bool) or not 0 < timeout < float("inf"):
        raise UserError(f"timeout must be a positive number of seconds, not {timeout!r}")
    company = None
    if in_company() and (share or is_sharded(model)):
        company = Company(model, first=is_first(), seconds=float(timeout))
    settings: dict[str, Any] = {"every": every, "sink": sink, "update": update, "quiet": quiet}
    if budget is not None:
        _check_budget(model, every, company)
        settings["budget"] = Budget(budget)
    return Watch(model, movers, symmetries, company=company, **settings)


def _check_budget(model: nn.Module, every: int, company: Company | None) -> None:
    """Refuse a budget where the host's clock does not tell what rows cost.

    Raises:
        UserError: it says what to do instead.
    """
    if every != 1:
        raise UserError("give either every or budget: a budget finds the steps between rows")
    if company is not None:
        raise UserError("budget is for one process: all must measure the same steps; give every")
    kinds = {parameter.device.type for parameter in model.parameters()} - {"cpu"}
    if kinds:
        raise UserError(
            f"budget goes by the host's clock, which does not see what {kinds.pop()} does: give "
            "every instead"
        )


class Watch:
    """A training run under observation; made by `limitcycle.watch`.

    In a distributed job only the first process measures; on the others everything is a no-op.
    Where weights are sharded every process measures its part, and has the rows that have been added
    up; asking for them never waits for another process. Folder, sinks and words are the first's.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Together,
        symmetries: Any,
        *,
        every: int,
        sink: Any,
        update: bool,
        quiet: bool,
        budget: Budget | None = None,
        company: Company | None = None,
    ) -> None:
        self._budget = budget
        self._model, self._optimizer = model, optimizer
        self._every, self._updates, self._quiet = every, update, quiet
        self._rules = rules_of(optimizer)
        self._company = company
        self._sinks = Sinks(sink if is_first() else None)
        self._subject = Subject(model, optimizer, symmetries, sharded=company is not None)
        self._memory = Memory()
        self._live = Live(None)
        self._attribution = Attribution(every)
        self._go_on_at: int | None = None
        self._place: torch.Tensor | None = None
        self._measured: _Measured | None = None
        self._info: dict[str, Any] = {}
        self._joint_since = 0
        self._changes: list[str] = []  # what has to be said of the record
        self._renamed: set[str] = set()
        self._status: dict[str, Any] = {"state": "running"}
        self._failed = self._confirmed = False
        self._closed = not is_first() and company is None
        self._shown: Any = None  # in a notebook's cell
        self._spaced = ""  # what was said of the steps between rows
        self._hooks: Hooks | TeamHooks | None = None
        if not self._closed:
            self._sinks.check()
            self._hooks = self._hooked()
            self._subject.listen(self._hooks.come_last)

    def _hooked(self) -> "Hooks | TeamHooks":
        members, outers = self._optimizer.members, self._optimizer.outers
        if len(members) == 1:
            return Hooks(members[0], outers[0], self._before, self._after)
        around = self._before_member, self._after_member
        return TeamHooks(self._optimizer, self._before, self._after, *around)

    def __repr__(self) -> str:
        return f"<Watch {self._status['state']}, step {self.step:,}>"

    def _repr_html_(self) -> str:
        return str(late("notebook", "watch_card")(self, self.step))

    def show(self, seconds: float = 2.0) -> None:
        """Show in a notebook how the run is doing, now and then from here to its end.

        Call it in the cell of the training, before the loop. Nothing happens outside of a
        notebook. It takes a twentieth of the time at most, and never ends a training.

        Args:
            seconds: between two looks, at least.
        """
        if not self._closed:
            self._shown = late("notebook", "LiveCard")(self, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if problem is None:
            self.close()
        else:
            interrupted = isinstance(problem, KeyboardInterrupt)
            self.close(
                "stopped" if interrupted else "failed", f"{type(problem).__name__}: {problem}"
            )

    @property
    def symmetries(self) -> Symmetries | None:
        """What is scale-invariant; None until it has been found at the first step."""
        return self._subject.symmetries

    @property
    def step(self) -> int:
        """Calls of ``optimizer.step`` so far, those of the job's earlier parts included."""
        return self._attribution.step if self._go_on_at is None else self._go_on_at

    @property
    def steps(self) -> pd.DataFrame:
        """The step table so far.

        After `limitcycle.watching.memory.STEP_ROWS` rows it is read back from the folder; without
        one, old rows are thinned: around rises of the loss and where loss or norm turn they stay.
        """
        return self._table("steps")

    @property
    def groups(self) -> pd.DataFrame:
        """The group table so far: one row a step and group; see `steps`."""
        return self._table("groups")

    def latest(self) -> dict[str, float]:
        """The newest row of the step table, for a logger; {} where there is none yet.

        It is read from the device now, so ask at a logger's pace.
        """
        if self._place is not None:
            self._settle()
        self._attribution.show()
        measured, newest = self._measured, None
        if measured is not None and self._company is None:
            newest = measured.buffer.newest(complete=len(measured.buffer) - self._in_a_turn())
        if newest is None or measured is None:
            return self._memory.newest()
        return newest_row(*newest, measured.groups, self._rules, updates=self._updates)

    def forecast(self) -> Forecast:
        """When the next jump comes, by the rows so far; as `Watch.diagnosis` says it.

        Ask every hundred steps, or as often as you like: a call takes about as long as a few
        steps of a small net, as the jumps before are only looked for when there may be new ones.
        It never raises: what goes wrong is the reason why nothing is forecast.
        """
        self._safely(self._read)
        return self._foretold()

    def _foretold(self) -> Forecast:
        if self._subject.unjudged:
            return withheld(self._subject.unjudged)
        try:
            return self._live.forecast()
        except Exception as problem:  # a training that is only watched goes on
            return withheld(f"the rows cannot be read ({said(problem)})")

    def log(self, **values: Any) -> None:
        """Say something of a step: ``loss``, and any other number, by name.

        Tensors are kept where they are and read later. Several values of one step, as with
        accumulated gradients, are averaged. What is said before a step belongs to it; in a script
        that says nothing before its first step, what is said after a step belongs to that.
        """
        if self._closed or self._failed or not self._attribution.is_kept:
            return
        early = self._measured is None and not self._subject.in_training
        for name, value in values.items():
            number = self._number(name, value)
            if number is None:
                continue
            if early and not getattr(value, "requires_grad", False):
                self._attribution.add_early(self._own_name(name), number)
            else:
                self._attribution.add(self._own_name(name), number)

    def _number(self, name: str, value: Any) -> Any:
        """One number; of a tensor a copy where it lies. None where it is none, which is said."""
        try:
            return _number(name, value)
        except Exception as problem:  # what is only told ends no training
            if name not in self._renamed:
                self._renamed.add(name)
                notice(f"log({name}=…) is left out: {said(problem)}")
            return None

    def _own_name(self, name: str) -> str:
        """A name that no measured column has."""
        if name not in _MEASURED:
            return name
        if name not in self._renamed:
            self._renamed.add(name)
            notice(f"{name} is a column of its own: what log was told is in logged_{name}")
        return f"logged_{name}"

    def diagnosis(self) -> Diagnosis:
        """What the run is doing, and one advice that follows from the numbers; prints as words."""
        return diagnose(self)

    def run_data(self) -> RunData:
        """The tables so far and what is known besides; what `limitcycle.diagnose` asks for."""
        steps, groups, notes = self._to_read()
        if steps.empty:
            steps = pd.DataFrame({name: np.empty(0) for name in ("step", "loss", "norm")})
        measured = self._measured
        if measured is not None:
            said_of = measured.groups, self._optimizer
            of_rules = notes_of_rules(self._rules, *said_of)
            notes = [*notes_of(*said_of), *of_rules, *self._changes, *notes]
        return RunData(
            steps=steps,
            groups=groups,
            status=self._status,
            described=True,
            rule=self._joint_rule(),
            dtypes=dtypes_of(measured.groups) if measured else {},
            net=kind_of_net(measured.groups, self._model) if measured else "",
            notes=tuple(notes),
            unjudged=self._subject.unjudged,
        )

    def _to_read(self) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
        """The tables as the reading needs them, and what has to be said of them."""
        steps = self.steps
        before = self._memory.thinned_before
        if before is None:
            groups = self.groups
            if self._joint_since:
                steps, groups = (t[t["step"] >= self._joint_since] for t in (steps, groups))
            return steps, without(groups, self._info.get("watched")), []
        # So many group rows need not be read back: what they decide is kept.
        steps, judged_by = self._memory.for_reading(steps)
        notes = [judged_by] if judged_by else []
        if self._sinks.folder is None:
            notes.append(
                f"of the time before step {before:,} only rows around rises of the loss and where "
                "loss or norm turn are kept in memory: watch into a folder (sink=…) to keep all"
            )
        return steps[steps["step"] >= self._joint_since], pd.DataFrame(), notes

    def _table(self, name: str) -> pd.DataFrame:
        self._read()
        folder = self._sinks.folder
        if self._memory.thinned_before is not None and folder is not None:
            return folder.read(name)
        found = self._memory.steps if name == "steps" else self._memory.groups
        return found.copy()

    def follow(self, hook: Callable[..., None]) -> Any:
        """Have a step hook called right behind each measurement; a handle that removes it."""
        if self._hooks is None:  # nothing is measured on this process
            return self._optimizer.members[0].register_step_post_hook(hook)
        return self._hooks.follow(hook)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed job needs: the number of steps, and the symmetries.

        A folder is written up to here: a job that is killed later goes on without a gap in it.
        """
        if not (self._closed or self._failed):
            self._safely(self._save)
        found = self._subject.symmetries
        return {
            "step": self.step,
            "symmetries": None if found is None else found.to_dict(),
            "unjudged": self._subject.unjudged,
        }

    def _save(self) -> None:
        self._finish_turn()
        self._read()
        self._sinks.flush()
        self._sinks.keep(self.diagnosis)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another watch of the same job was; call before the first step.

        Rows from that step on, which the resumed job makes again, are dropped from its folder.

        Raises:
            UserError: steps have been made already, or the symmetries are another model's.
        """
        if self._measured is not None:
            raise UserError("load_state_dict comes before the first step: rows are written already")
        self._go_on_at = int(state["step"])
        if state["symmetries"] is not None:
            found = Symmetries.from_dict(state["symmetries"])
            self._subject.take(found, str(state.get("unjudged", "")))

    def close(self, state: str = "done", reason: str = "") -> None:
        """Remove every trace from model and optimizer, write what is left, say the diagnosis."""
        if self._closed:
            return
        self._finish_turn()
        self._safely(self._read)
        if self._company is not None and not self._failed:
            self._leave(self._company)
        if self._measured is None and not self._failed and self._subject.in_training:
            notice(
                f"no step of {self._optimizer.name} was seen, so there are no rows: give "
                "the optimizer whose step() moves the weights"
            )
        self._closed = True
        if self._hooks is not None:
            self._hooks.remove()
        self._subject.forget()
        self._status = {"state": state, "reason": reason}
        if self._shown is not None:
            self._shown.last()
        found = self._last_reading() if len(self._memory) and is_first() else None
        self._sinks.close(state, self.step, reason, found)
        if not self._quiet and found is not None:
            notice(str(found))

    def _last_reading(self) -> Diagnosis | None:
        try:
            return self.diagnosis()
        except Exception as problem:  # a training that has ended well does not fail here
            notice(f"the run cannot be judged ({said(problem)}); its rows are kept")
            return None

    def _before(self) -> None:
        """The gradients of step t are there."""
        if not self._attribution.at_rest:  # or at once, for this is all that most steps cost
            self._safely(self._before_step)

    def _before_step(self) -> None:
        self._settle()
        if self._shown is not None and self._measured is not None:
            self._shown.look()
        measured = self._measured or self._begin()
        if self._attribution.has_row:
            if self._budget is not None:
                self._budget.begin()
            if self._subject.has_changed():
                measured = self._regroup(measured)
            self._open(measured)
            if self._budget is not None:
                self._budget.pause()
        else:
            self._attribution.pass_over()

    def _after(self) -> None:
        """Step t has been made."""
        if self._place is not None:
            self._safely(self._after_step)
        self._attribution.step += 1

    def _before_member(self, number: int) -> None:
        """One of several optimizers is about to step, and has its gradients."""
        if self._place is not None:
            self._safely(lambda: self._around_member(number, after=False))

    def _after_member(self, number: int) -> None:
        """It has made its step; others may follow in this turn."""
        if self._place is not None:
            self._safely(lambda: self._around_member(number, after=True))

    @torch.no_grad()
    def _around_member(self, number: int, *, after: bool) -> None:
        assert self._measured is not None and isinstance(self._measured.products, Team)
        if not after:
            self._measured.bind()
            self._measured.products.before_step(number, updates=self._updates)
        elif self._place is not None:
            self._measured.products.after_step(number, self._place, updates=self._updates)

    def _finish_turn(self) -> None:
        """Of several optimizers, whoever has made no step since the turn began makes none in it."""
        if self._hooks is not None:
            self._hooks.finish()

    def _in_a_turn(self) -> bool:
        """Whether the newest row waits for further optimizers' steps."""
        return self._place is not None and self._hooks is not None and self._hooks.in_a_turn

    def _joint_rule(self) -> UpdateRule:
        """The rule of what the joint row is of."""
        return self._rules.all if self._measured is None else self._rule_of(self._measured.groups)

    def _rule_of(self, groups: list[Watched]) -> UpdateRule:
        return self._rules.of([groups[index] for index in joint_groups(groups)])

    def _safely(self, action: Callable[[], None]) -> None:
        """Watching that fails ends, and says so. It must not end somebody's training."""
        if self._failed:
            return
        try:
            action()
        except Exception as problem:
            # The hooks stay until closing: a table of hooks may not change while they are called.
            self._failed, self._place = True, None
            self._subject.forget()
            if self._company is not None:
                self._leave(self._company)
            ended = f"watching ended at step {self.step:,} ({said(problem)})"
            self._changes.append(ended)
            # What ends on all processes is said once.
            alone = self._company is not None and not isinstance(problem, WireError | UserError)
            notice(f"{ended}; the training goes on", anyone=alone)

    def _leave(self, company: Company) -> None:
        """Part from the processes that watch, with the rows that are not added up yet."""
        measured = self._measured
        rows = 0 if measured is None else measured.buffer.complete(in_a_turn=self._in_a_turn())
        try:
            if measured is None:
                company.leave([], torch.zeros(0, 0, 3, 3))
            else:
                self._take(company.leave)
        except Exception as problem:
            notice(f"the last {rows:,} rows are lost ({said(problem)})")
            return
        if company.lost:
            listed = ", ".join(map(str, company.missing))
            notice(f"the last {company.lost:,} rows are lost: process {listed} did not make them")

    @torch.no_grad()
    def _open(self, measured: "_Measured") -> None:
        """A row of step t: its gradients, settings and what was said of it."""
        if self._company is not None:
            if self._company.is_due(len(measured.buffer)):
                self._take(self._company.total)
        elif measured.buffer.full or time.monotonic() - measured.read_at > READ_AFTER:
            self._read()
        settings = [settings_of(group) for group in self._optimizer.param_groups]
        row = Row(self._attribution.step, settings)
        self._place = measured.buffer.open(row)
        if isinstance(measured.products, Team):
            measured.products.begin(row)
        else:
            # A scaler leaves these on an optimizer that unscales by itself, for a step's time.
            only = self._optimizer.members[0]
            row.scale, row.skipped = (getattr(only, name, None) for name in SCALER)
            measured.bind()
            measured.products.before(self._place, updates=self._updates)
        self._attribution.open(row)

    def _after_step(self) -> None:
        measured = self._measured
        if self._place is not None and measured is not None:
            called = 0.0 if self._budget is None else self._budget.now()
            with torch.no_grad():
                measured.follow()
                if isinstance(measured.products, Team):
                    measured.products.after(self._place, updates=self._updates)
                elif self._updates:
                    measured.products.after(self._place)
                if self._updates and measured.has_moments:
                    measured.buffer.row.second_moments = second_moments(
                        measured.counted, self._optimizer, measured.buffer.dtype
                    )
                measured.release()
            if self._budget is not None:
                self._keep_to(self._budget, called)
        self._place = None

    def _keep_to(self, budget: Budget, called: float) -> None:
        """The next row comes when the budget allows it; the first time that is said."""
        changed = budget.end(self.step, called)
        self._attribution.space(budget.every)
        if not changed:
            return
        if self._spaced:
            self._changes.remove(self._spaced)
        else:
            notice(str(budget))
        self._spaced = str(budget)
        self._changes.append(self._spaced)
        if self._measured is not None:
            self._info["watched"]["every"] = budget.every
            self._tell_folder(self._measured.groups)

    def _settle(self) -> None:
        """What was said after the last step belongs to it; a step that failed leaves no row."""
        if self._in_a_turn():
            return
        if self._place is not None and self._measured is not None:
            self._measured.buffer.drop()
            self._place = None
            self._attribution.withdraw()
        for name in self._attribution.settle():
            if name not in self._renamed:
                self._renamed.add(name)
                notice(f"{name} was logged of a step whose row had been read: it is left out there")

    @torch.no_grad()
    def _begin(self) -> "_Measured":
        """At the first step: find what is scale-invariant, open the folder, make the buffers."""
        symmetries = self._subject.begin()
        check_gradients(trainable(self._model))
        groups, shares = self._shared(self._subject.groups())
        self._rules = rules_of(self._optimizer)
        self._live = Live(self._rule_of(groups), kind_of_net(groups, self._model))
        self._open_sinks(symmetries, groups)
        if not self._subject.unjudged and not any(group.invariant for group in groups):
            notice("nothing here is scale-invariant: norm and rates are those of all weights")
        for group in groups:
            if group.missing:
                notice(in_part(group))
        self._attribution.begin()
        self._rules = rules_of(self._optimizer, self.step)
        self._measured = _Measured(groups, self._optimizer, shares)
        return self._measured

    def _shared(self, groups: list[Watched]) -> tuple[list[Watched], Shares | None]:
        """The groups of all processes together, and what this one measures of them."""
        if self._company is None:
            return groups, None
        shares = self._company.settle(groups, self._optimizer)
        return shares.described, shares

    @torch.no_grad()
    def _regroup(self, measured: "_Measured") -> "_Measured":
        """Other tensors are trained from this step on, or more is known of them."""
        if self._company is None:
            self._read()
        elif len(measured.buffer):
            self._take(self._company.total)
        groups, shares = self._shared(self._subject.groups())
        self._rules = rules_of(self._optimizer, self.step)
        self._measured = _Measured(groups, self._optimizer, shares)
        if joint_names(groups) != joint_names(measured.groups):
            self._joint_since = self.step
            self._live = Live(self._rule_of(groups), kind_of_net(groups, self._model))
            self._changes = [
                f"the norm is that of other tensors from step {self.step:,} on: judged from there"
            ]
            notice(f"step {self.step:,}: other tensors are trained; the joint norm begins anew")
        self._tell_folder(groups)
        return self._measured

    def _tell_folder(self, groups: list[Watched]) -> None:
        """What the reading needs besides the rows, in ``run.json``."""
        known = facts(self._rules, groups, self._optimizer, self._model)
        known["notes"] = [*known["notes"], *self._changes]
        known |= {"unjudged": self._subject.unjudged, "joint_since": self._joint_since}
        self._info["watched"] |= known
        self._sinks.add_info(watched=self._info["watched"])

    def _open_sinks(self, symmetries: Symmetries, groups: list[Watched]) -> None:
        """The folder first: it knows at which step the job goes on."""
        self._info = run_info(self._model, self._optimizer, self._every)
        self._info["watched"] |= facts(self._rules, groups, self._optimizer, self._model)
        self._info["watched"]["unjudged"] = self._subject.unjudged
        self._sinks.open(self._info, symmetries, self._go_on)
        begun = self._go_on_at or 0
        if self._company is not None:  # the folder, which knows it, is the first process's
            begun = self._company.as_the_first(begun)
        self._attribution.step, self._go_on_at = begun, None
        self._sinks.begin(self._info, symmetries, self.step)

    def _go_on(self, folder: Parquet, step: int) -> None:
        """Behind the rows that the folder holds."""
        if self._go_on_at is None and step > 0:
            notice(f"{folder.path} holds steps up to {step - 1:,}: it is gone on with behind them")
        self._go_on_at = step if self._go_on_at is None else self._go_on_at
        for steps, groups in folder.go_back(self._go_on_at):
            self._live.add(self._memory.add(steps, groups, self._info["watched"], archived=True))

    def _read(self) -> None:
        """Bring what lies on the device into the tables and hand it on.

        What several processes measured together is there when they have added it up, not before:
        whoever asks for a table asks alone.
        """
        self._settle()
        measured = self._measured
        if self._company is not None or measured is None:
            return
        if measured.buffer.complete(in_a_turn=self._in_a_turn()):
            self._take(None)

    def _take(self, total: Total | None) -> None:
        """Read the buffer's rows, and hand them on."""
        self._settle()
        measured = self._measured
        in_a_turn = self._in_a_turn()
        assert measured is not None
        measured.read_at = time.monotonic()
        block = measured.buffer.read(keep_newest=in_a_turn, total=total)
        if in_a_turn:
            self._place = measured.buffer.place
        if block is None:
            return
        steps, groups = rows_of(block, measured.groups, self._rules, updates=self._updates)
        if len(steps):
            self._confirm(measured.groups, groups)
            self._sinks(steps, groups)
            archived = self._sinks.folder is not None
            judged = self._memory.add(steps, groups, self._info["watched"], archived=archived)
            self._live.add(judged)
            self._sinks.foretell(int(steps["step"].iloc[-1]), self._foretold)

    def _confirm(self, groups: list[Watched], rows: pd.DataFrame) -> None:
        """Say once which inferred symmetries the first rows do not bear out."""
        found = self._subject.symmetries
        if self._confirmed or found is None:
            return
        self._confirmed = True
        if names := leaking(found, groups, rows):
            shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            said_of = (
                f"{shown}: continued from a twin, but the gradient has a part along the weights "
                "(radial_share above 1 %), so they are not scale-invariant here"
            )
            self._changes.append(said_of)
            notice(said_of)


class _Measured:
    """What is measured with, once it is known what there is to measure."""

    def __init__(
        self, groups: list[Watched], movers: Together, shares: Shares | None = None
    ) -> None:
        self.groups = groups
        self.counted = groups if shares is None else shares.counted
        self._shares = shares
        here = groups if shares is None else shares.local
        tensors = [tensor for group in here for tensor in group.tensors]
        owners = [index for index, group in enumerate(here) for _ in group.tensors]
        self.products: InnerProducts | Team
        if len(movers.members) > 1:
            moved_by = None if shares is None else shares.owners(movers)
            self.products = Team(movers, here, moved_by)
        else:
            self.products = InnerProducts(tensors, owners, len(groups))
        device = tensors[0].device if tensors else torch.device("cpu")
        self.buffer = GramBuffer(len(groups), device)
        # Where no optimizer averages squares, no step looks for them.
        self.has_moments = any("betas" in settings for settings in movers.param_groups)
        self.read_at = time.monotonic()

    def bind(self) -> None:
        """Where weights are sharded, take the parts that lie here, with their gradients."""
        if self._shares is not None:
            self._shares.bind()

    def follow(self) -> None:
        """Take the parts as they are after a step."""
        if self._shares is not None:
            self._shares.parts.follow()

    def release(self) -> None:
        """Hold no gradient any longer."""
        if self._shares is not None:
            self._shares.parts.release()


def _number(name: str, value: Any) -> Any:
    """One number; of a tensor a copy where it lies, so that nobody waits for it."""
    if not isinstance(value, torch.Tensor):
        return float(value)
    if value.numel() != 1:
        raise UserError(f"{name} must be one number, not a tensor of shape {value.shape}")
    return value.detach().clone()
