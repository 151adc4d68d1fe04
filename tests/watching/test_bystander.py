"""The law of the bystander: whatever the loop, training goes as if nobody watched."""

import copy
import gc
import pickle
import sys
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import limitcycle as lc
from tests.watching import loops
from tests.watching.test_scripts import (
    FALLBACKS,
    SAM,
    Block,
    Complex,
    Frozen,
    Lookahead,
    NoRate,
    Twice,
    sam_by_closure,
    sam_in_two_steps,
    sgd,
)
from tests.watching.test_several import (
    Container,
    Game,
    Joint,
    game_loss,
    muon_and_adamw,
    sgd_and_adamw,
    turn_of,
)

STEPS = 4
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")


class Plain:
    """A loop of `loops`, as it is."""

    def __init__(self, name):
        self._loop = loops.LOOPS[name]()

    def make(self):
        model = loops.Net()
        return model, self._loop.optimizer(model)

    def step(self, model, optimizer, t):
        return self._loop.step(model, optimizer, t)


class Script:
    """A script: how its model and optimizers are made, and its step."""

    def __init__(self, kind, optimizer, step=loops.plain_step):
        self._kind, self._optimizer, self.step = kind, optimizer, step

    def make(self):
        model = self._kind()
        return model, self._optimizer(model)


def with_call(call):
    def step(model, optimizer, t):
        x, y = loops.batch(t)
        optimizer.zero_grad()
        loss = F.cross_entropy(call(model, x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def pre_norm():
    return nn.Sequential(nn.Linear(12, 8, bias=False), Block(), nn.RMSNorm(8), nn.Linear(8, 3))


class Tasks(nn.Module):
    """Two heads, used in turn."""

    def __init__(self):
        super().__init__()
        self.body, self.norm = nn.Linear(12, 20, bias=False), nn.BatchNorm1d(20, affine=False)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(20, 9, bias=False), nn.BatchNorm1d(9), nn.Linear(9, 3))
            for _ in range(2)
        )

    def forward(self, x, task):
        return self.heads[task](torch.tanh(self.norm(self.body(x))))


def task_step(model, optimizer, t):
    return with_call(lambda m, x: m(x, t % 2))(model, optimizer, t)


def unfreezing(model, optimizer, t):
    model.one.weight.requires_grad_(t >= 2)
    return loops.plain_step(model, optimizer, t)


def growing(model, optimizer, t):
    if t == 2:
        optimizer.add_param_group({"params": [model.two.weight]})
    return loops.plain_step(model, optimizer, t)


def game_of_two(model, optimizers, t):
    for optimizer in optimizers if t % 2 else optimizers[:1]:
        optimizer.zero_grad()
        loss = game_loss(model, t)
        loss.backward()
        optimizer.step()
    return loss


def listed(pair):
    return lambda model: pair(model)


SCRIPTS = {name: (lambda name=name: Plain(name)) for name in loops.LOOPS}
SCRIPTS |= {
    f"fallback: {name}": (
        lambda kind=kind, call=call: Script(kind, lambda m: sgd(m.parameters()), with_call(call))
    )
    for name, (kind, call, _) in FALLBACKS.items()
}
SCRIPTS |= {
    "muon and adamw": lambda: Script(loops.Net, muon_and_adamw, turn_of),
    "sgd and adamw": lambda: Script(loops.Net, sgd_and_adamw, turn_of),
    "a container": lambda: Script(loops.Net, lambda m: Container(sgd_and_adamw(m))),
    "a group in two": lambda: Script(
        Joint,
        lambda m: [sgd([m.left.weight]), sgd([m.right.weight, *m.head.parameters()])],
        turn_of,
    ),
    "a game": lambda: Script(
        Game, lambda m: [sgd([m.often.weight]), sgd([m.seldom.weight])], game_of_two
    ),
    "sam by closure": lambda: Script(
        loops.Net, lambda m: SAM(m.parameters(), lr=0.1), sam_by_closure
    ),
    "sam in two steps": lambda: Script(
        loops.Net, lambda m: SAM(m.parameters(), lr=0.1), sam_in_two_steps
    ),
    "lookahead": lambda: Script(loops.Net, lambda m: Lookahead(m.parameters(), lr=0.1)),
    "a step in a step": lambda: Script(loops.Net, lambda m: Twice(m.parameters(), lr=0.1)),
    "frozen norm": lambda: Script(Frozen, lambda m: sgd(m.parameters())),
    "complex": lambda: Script(Complex, lambda m: sgd(m.parameters())),
    "pre-norm": lambda: Script(pre_norm, lambda m: torch.optim.AdamW(m.parameters(), lr=0.01)),
    "tasks in turn": lambda: Script(Tasks, lambda m: sgd(m.parameters()), task_step),
    "unfreezing": lambda: Script(loops.Net, lambda m: sgd(m.parameters()), unfreezing),
    "growing": lambda: Script(
        loops.Net, lambda m: sgd([m.one.weight, *m.head.parameters()]), growing
    ),
}


class Trained:
    """A run, watched or not, and everything that a user could see of it."""

    def __init__(self, script, watching, interfere=None):
        torch.manual_seed(0)
        self.model, self.optimizer = script.make()
        self.calls, self.steps, self.w = [], [], None
        self._listen()
        if watching:
            self.w = lc.watch(self.model, self.optimizer, quiet=True)
        self.losses = []
        for t in range(STEPS):
            if interfere is not None:
                interfere(t)
            loss = script.step(self.model, self.optimizer, t)
            for parameter in self.model.parameters():
                if isinstance(self.optimizer, SAM | Lookahead):
                    parameter.grad = None
            self.losses.append(float(loss.detach()))
            if self.w is not None:
                self.w.log(loss=loss)
        if self.w is not None:
            self.w.close()
        self.random = torch.get_rng_state()

    def _listen(self):
        """Hooks as people write them: a function, a lambda, an object, on all modules."""

        def hear(module, _args, _output):
            self.calls.append(type(module).__name__)

        for module in self.model.modules():
            module.register_forward_hook(hear)
            module.register_forward_pre_hook(lambda *_: self.calls.append("before"))
            module.register_full_backward_hook(lambda *_: self.calls.append("back"))
        for each in self.optimizers:
            each.register_step_post_hook(lambda *_: self.steps.append(1))

    @property
    def optimizers(self):
        found = self.optimizer if isinstance(self.optimizer, list) else [self.optimizer]
        return [*found, *(o for f in found for o in getattr(f, "optimizers", []))]

    def tables(self):
        """What hooks are left, by their number."""
        names = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
        modules = ("_forward_hooks", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs")
        return [
            *(len(getattr(o, name)) for o in self.optimizers for name in names),
            *(len(getattr(m, name)) for m in self.model.modules() for name in modules),
        ]

    def states(self):
        return [
            value
            for optimizer in self.optimizers
            for state in optimizer.state.values()
            for value in state.values()
            if isinstance(value, torch.Tensor)
        ]


@pytest.mark.parametrize("name", SCRIPTS)
def test_training_goes_as_if_nobody_watched(name):
    alone, watched = (Trained(SCRIPTS[name](), watching) for watching in (False, True))
    for key, value in alone.model.state_dict().items():
        assert torch.equal(value, watched.model.state_dict()[key]), key
    for mine, theirs in zip(alone.states(), watched.states(), strict=True):
        assert torch.equal(mine, theirs)
    assert alone.losses == watched.losses
    assert torch.equal(alone.random, watched.random)
    assert alone.calls == watched.calls and alone.steps == watched.steps
    assert alone.tables() == watched.tables()
    assert set(vars(alone.model)) == set(vars(watched.model))
    assert len(watched.w.steps) == STEPS


def test_an_optimizer_of_its_own_rate_is_let_be():
    def no_rate(model):
        optimizer = NoRate(model.parameters(), lr=0.1)
        optimizer.param_groups[0]["lr"] = None
        return optimizer

    script = Script(loops.Net, no_rate)
    alone, watched = (Trained(script, watching) for watching in (False, True))
    assert alone.losses == watched.losses and len(watched.w.steps) == STEPS


PARTS = (
    "watch:settings_of",
    "watch:rows_of",
    "watch:GramBuffer.open",
    "watch:rules_of",
    "team:settings_of",
    "team:Team.begin",
    "team:Team.before_step",
    "team:Team.after_step",
    "team:Team.after",
    "team:_weights_only",
    "later:come_alive",
    "later:put_together",
    "subject:watched_groups",
    "first_call:symmetries_in_use",
)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["muon and adamw", "a game", "tasks in turn"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_no_error_gets_out(part, name, at, monkeypatch, capsys):
    alone = Trained(SCRIPTS[name](), False)

    def fail(*_args, **_settings):
        raise RuntimeError("injected")

    def interfere(t):
        if t == at:
            module, _, names = part.partition(":")
            owner = sys.modules[f"limitcycle.watching.{module}"]
            for inner in names.split(".")[:-1]:
                owner = getattr(owner, inner)
            monkeypatch.setattr(owner, names.split(".")[-1], fail)

    watched = Trained(SCRIPTS[name](), True, interfere)
    monkeypatch.undo()
    assert alone.losses == watched.losses
    assert alone.calls == watched.calls and alone.tables() == watched.tables()
    said = capsys.readouterr().err.count("watching ended at step")
    assert said == (len(watched.w.steps) < STEPS)  # what ended is said, once


@pytest.mark.parametrize("name", ["sgd", "muon and adamw", "tasks in turn"])
def test_copies_are_free_of_the_watch_at_any_time(name):
    torch.manual_seed(0)
    script = SCRIPTS[name]()
    model, optimizer = script.make()
    copies = []
    with lc.watch(model, optimizer, quiet=True) as w:
        copies.append(copy.deepcopy(model))
        for t in range(3):
            script.step(model, optimizer, t)
            copies += [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        several = optimizer if isinstance(optimizer, list) else [optimizer]
        for each in several:
            each.load_state_dict(copy.deepcopy(each.state_dict()))
    assert len(w.steps) == 3
    for other in copies:
        for module in other.modules():
            for hook in module._forward_pre_hooks.values():
                assert type(hook).__name__ == "_Nothing"


def test_nothing_is_held_after_closing():
    model = loops.net()
    optimizer = sgd(model.parameters())
    w = lc.watch(model, optimizer, quiet=True)
    loops.plain_step(model, optimizer, 0)
    w.close()
    gone = weakref.ref(w)
    del w
    gc.collect()
    assert gone() is None
