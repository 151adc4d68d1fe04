"""Several optimizers, one record: rows against a float64 recomputation around each turn."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import limitcycle as lc
from limitcycle.errors import UserError
from limitcycle.measure import Turns
from tests.watching import loops
from tests.watching.test_rows import check

BOTH = ("one.weight", "two.weight")


class Joint(nn.Module):
    """One scale-invariant group of two matrices, which are added before they are normalised."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(12, 160, bias=False), nn.Linear(12, 160, bias=False)
        self.norm, self.head = nn.BatchNorm1d(160, affine=False), nn.Linear(160, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.norm(self.left(x) + self.right(x.square()))))


def joint():
    torch.manual_seed(0)
    return Joint()


def sgd(parameters, **settings):
    return torch.optim.SGD(parameters, **{"lr": 0.1, "weight_decay": 0.01, **settings})


def muon_and_adamw(model):
    matrices = [model.one.weight, model.two.weight]
    muon = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1)
    return [muon, torch.optim.AdamW(model.head.parameters(), lr=0.01, weight_decay=0.2)]


def sgd_and_adamw(model):
    first = sgd([model.one.weight, model.head.bias], momentum=0.9)
    rest = [model.two.weight, model.head.weight]
    return [first, torch.optim.AdamW(rest, lr=0.01, weight_decay=0.2)]


class Container(torch.optim.Optimizer):
    """Holds optimizers, as torchtitan's does: its own rates are constants that nobody uses."""

    def __init__(self, optimizers):
        self.optimizers = optimizers
        every = [p for o in optimizers for g in o.param_groups for p in g["params"]]
        super().__init__(every, {"lr": 77.0, "weight_decay": 88.0})

    def step(self, closure=None):
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self, set_to_none=True):
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none)


class Chained:
    """Holds optimizers and is none itself, as Megatron's."""

    def __init__(self, optimizers):
        self.chained_optimizers = optimizers

    def step(self):
        for optimizer in self.chained_optimizers:
            optimizer.step()

    def zero_grad(self):
        for optimizer in self.chained_optimizers:
            optimizer.zero_grad()


def seen_around(model, make, step, turn):
    """What a turn should show: weights before, gradients there, weights after."""
    oracle = make().double()
    oracle.load_state_dict(model.state_dict())
    before = loops.weights(model)
    loss = turn()
    return loops.Seen(
        before, loops.plain_gradients(oracle, step), loops.weights(model), float(loss.detach())
    )


def turn_of(model, optimizers, step):
    loss = loops.loss_of(model, step)
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss


class Managed(Container):
    """Is held by a manager that it holds itself, as torchtitan's that outlives lost machines."""

    def __init__(self, optimizers):
        super().__init__(optimizers)
        self.manager = Manager(self)


class Manager(torch.optim.Optimizer):
    def __init__(self, optimizer):
        super().__init__(optimizer.param_groups, {})
        self.optim = optimizer

    def step(self, closure=None):
        self.optim.step()


GIVEN = [list, tuple, Container, Chained, Managed, lambda both: [Container(both)]]


@pytest.mark.parametrize("make", [muon_and_adamw, sgd_and_adamw])
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("updates", [True, False])
def test_a_turn_is_a_row(make, given, updates):
    model = loops.net()
    optimizers = make(model)
    watched = given(optimizers)
    steps_itself = isinstance(watched, Container | Chained)
    seen = []
    with lc.watch(model, watched, update=updates, quiet=True) as w:
        for t in range(4):
            used = [watched] if steps_itself else optimizers
            seen.append(
                seen_around(model, loops.net, t, lambda t=t, used=used: turn_of(model, used, t))
            )
            w.log(loss=seen[-1].loss)
    assert list(w.steps["step"]) == [0, 1, 2, 3] and w.step == 4
    assert w.steps["loss"].to_list() == pytest.approx([each.loss for each in seen])
    for t in range(4):
        if updates:
            check(w.steps.iloc[t], seen[t], BOTH)
        else:
            x = loops.joined(seen[t].before, BOTH)
            assert w.steps["norm"][t] == pytest.approx(float(x.norm()))
        for group, names in loops.groups_of():
            row = w.groups[(w.groups["step"] == t) & (w.groups["group"] == group)].iloc[0]
            if updates:
                check(row, seen[t], names)
    rates = w.groups.set_index("group")["lr"]
    expected = {p: g["lr"] for o in optimizers for g in o.param_groups for p in g["params"]}
    assert set(rates.loc["one.weight"]) == {expected[model.one.weight]}
    assert set(rates.loc["two.weight"]) == {expected[model.two.weight]}


def test_a_joint_row_of_several_rules_has_no_effective_rate():
    model = loops.net()
    optimizers = sgd_and_adamw(model)
    with lc.watch(model, optimizers, quiet=True) as w:
        for t in range(40):
            w.log(loss=turn_of(model, optimizers, t))
    assert w.steps[["lr", "effective_lr", "equilibrium_rotation"]].isna().all(axis=None)
    one = w.groups[w.groups["group"] == "one.weight"]
    two = w.groups[w.groups["group"] == "two.weight"]
    assert one["effective_lr"].to_numpy() == pytest.approx(0.1 / one["norm"].to_numpy() ** 2)
    assert two["effective_lr"].to_numpy() == pytest.approx(0.01 / two["norm"].to_numpy())
    notes = " ".join(w.diagnosis().notes)
    assert "effective_lr of all scale-invariant weights together is left out" in notes
    assert "SGD and AdamW move them" in notes


@pytest.mark.parametrize("adjusted", ["original", "match_rms_adamw"])
def test_the_rate_of_muon_compares_between_tensors(adjusted):
    """The learning rate per entry over the norm: what a step is, but for Newton and Schulz."""
    model = loops.net()
    matrices = [model.one.weight, model.two.weight]
    muon = torch.optim.Muon(matrices, lr=0.01, weight_decay=0.1, adjust_lr_fn=adjusted)
    adamw = torch.optim.AdamW(model.head.parameters(), lr=0.01)
    with lc.watch(model, [muon, adamw], quiet=True) as w:
        for t in range(3):
            turn_of(model, [muon, adamw], t)
        newest = w.latest()
    for name in ("one.weight", "two.weight"):
        row = w.groups[w.groups["group"] == name].iloc[-1]
        tensor = model.get_parameter(name)
        per_entry = 0.2 if adjusted == "match_rms_adamw" else tensor.shape[1] ** -0.5
        assert row["effective_lr"] == pytest.approx(per_entry * 0.01 / row["norm"])
        size = row["effective_lr"] * math.sqrt(tensor.numel())
        # A gradient of 24 samples has not full rank, so its orthogonal part is shorter.
        assert 0.5 < row["relative_update"] / size < 1.1
        assert row["equilibrium_rotation"] > 0 and row["equilibrium_norm"] > 0
    joint_row = w.steps.iloc[-1]
    for name, value in newest.items():
        assert value == pytest.approx(joint_row[name], rel=1e-9, nan_ok=True), name
    assert joint_row["equilibrium_rotation"] > 0


@pytest.mark.parametrize("every", [1, 2])
def test_a_group_in_two_optimizers_is_measured_whole(every, tmp_path):
    model = joint()
    optimizers = [
        sgd([model.left.weight, *model.head.parameters()]),
        sgd([model.right.weight], lr=0.02),
    ]
    seen = []
    with lc.watch(model, optimizers, every=every, sink=tmp_path / "run", quiet=True) as w:
        for t in range(4):
            seen.append(seen_around(model, joint, t, lambda t=t: turn_of(model, optimizers, t)))
            w.log(loss=seen[-1].loss)
    assert list(w.steps["step"]) == list(range(0, 4, every))
    for row, t in enumerate(range(0, 4, every)):
        check(w.steps.iloc[row], seen[t], ("left.weight", "right.weight"))
    assert w.groups["group"][0] == "left.weight (+1)"
    assert np.isnan(w.groups["lr"][0])
    run = lc.load(tmp_path / "run")
    assert run.steps["norm"].to_list() == w.steps["norm"].to_list()


def test_a_group_in_two_optimizers_that_is_held():
    """What the hold does behind one optimizer's step moves the other one's tensors."""
    model = joint()
    optimizers = [
        sgd([model.left.weight, *model.head.parameters()]),
        sgd([model.right.weight], lr=0.3),
    ]
    found = lc.symmetries(joint(), loops.batch(0)[0]).bound(model)
    seen = []
    with lc.watch(model, optimizers, found, quiet=True) as w, lc.hold_norm(optimizers, found):
        for t in range(4):
            seen.append(seen_around(model, joint, t, lambda t=t: turn_of(model, optimizers, t)))
            w.log(loss=seen[-1].loss)
    for t in range(4):
        check(w.steps.iloc[t], seen[t], ("left.weight", "right.weight"))
    assert w.steps["norm"].to_numpy() == pytest.approx(w.steps["norm"][0], rel=1e-6)


def test_a_part_of_a_group_is_never_called_whole(capsys):
    model = joint()
    first = sgd([model.left.weight, *model.head.parameters()])
    second = sgd([model.right.weight])
    with lc.watch(model, first, quiet=True) as w:
        for t in range(40):
            w.log(loss=turn_of(model, [first, second], t))
    assert "no optimizer that is watched moves right.weight" in capsys.readouterr().err
    assert any("left.weight is a part of" in note for note in w.diagnosis().notes)
    assert set(w.groups["group"]) == {"left.weight", "other"}
    every = [model.left.weight, *model.head.parameters()]
    # Nothing whole is left: the joint row is of all that is moved, and that is said.
    assert w.steps["norm"].iloc[-1] == pytest.approx(
        math.sqrt(sum(float(p.detach().square().sum()) for p in every)), rel=0.05
    )


# Who steps when.


def spelled(text, count=2):
    """Turns of a sequence of steps, as words: a letter an optimizer."""
    turns, words = Turns(count), []
    for letter in text:
        if turns.begins("abc".index(letter)):
            words.append("")
        words[-1] += letter
    return " ".join(words)


@pytest.mark.parametrize(
    ("count", "steps", "turns"),
    [
        (2, "ababab", "ab ab ab"),
        (2, "bababa", "ba ba ba"),
        (2, "aaabaaab", "a a ab a a ab"),
        (2, "abaabab", "ab a ab ab"),  # b is skipped once
        (2, "abbab", "ab b ab"),  # a is skipped once
        (3, "acabcac", "ac abc ac"),
        (3, "abcaabc", "abc a abc"),
        (2, "aaa", "a a a"),
    ],
)
def test_a_turn_ends_where_its_order_does(count, steps, turns):
    assert spelled(steps, count) == turns


def test_a_turn_is_complete_with_the_last_of_its_order():
    turns = Turns(2)
    complete = []
    for letter in "aababb":
        turns.begins("ab".index(letter))
        complete.append(turns.complete)
    assert complete == [False, False, True, False, True, True]


class Game(nn.Module):
    """A part that steps at every turn, and one that seldom does; both scale-invariant."""

    def __init__(self):
        super().__init__()
        self.often, self.seldom = nn.Linear(12, 40, bias=False), nn.Linear(40, 30, bias=False)
        self.norm1 = nn.BatchNorm1d(40, affine=False)
        self.norm2 = nn.BatchNorm1d(30, affine=False)

    def forward(self, x):
        return self.norm2(self.seldom(torch.tanh(self.norm1(self.often(x)))))


def game():
    torch.manual_seed(0)
    return Game()


def game_loss(model, step):
    x, y = loops.batch(step)
    return F.cross_entropy(model(x.to(model.often.weight.dtype))[:, :3], y)


@pytest.mark.parametrize("reading", [False, True])
def test_one_that_steps_less_often(reading):
    """Two passes a turn; in between somebody may look at the record."""
    model = game()
    often, seldom = sgd([model.often.weight]), sgd([model.seldom.weight], lr=0.05)
    optimizers = [seldom, often]  # in whatever order they are given
    seen = []
    with lc.watch(model, optimizers, quiet=True) as w:
        for t in range(9):
            before = loops.weights(model)
            often.zero_grad()
            loss = game_loss(model, t)
            loss.backward()
            used = {"often.weight": model.often.weight.grad.double().clone()}
            used["seldom.weight"] = torch.zeros_like(model.seldom.weight).double()
            often.step()
            if reading:
                if t % 2:
                    assert len(w.steps) == t  # the newest row may wait for another step
                assert w.latest().get("step", -1) == t - 1
            if t % 3 == 2:
                seldom.zero_grad()
                game_loss(model, 100 + t).backward()
                used["seldom.weight"] = model.seldom.weight.grad.double().clone()
                seldom.step()
            seen.append(loops.Seen(before, used, loops.weights(model), float(loss.detach())))
            w.log(loss=loss)
    assert list(w.steps["step"]) == list(range(9))
    assert w.steps["loss"].to_list() == pytest.approx([each.loss for each in seen])
    for t in range(9):
        check(w.steps.iloc[t], seen[t], ("often.weight", "seldom.weight"))
    rows = w.groups[w.groups["group"] == "seldom.weight"].reset_index(drop=True)
    for t in range(9):
        norm = float(seen[t].before["seldom.weight"].norm())
        assert rows["norm"][t] == pytest.approx(norm, rel=1e-6)
        assert (rows["rotation"][t] > 0) == (rows["grad_norm"][t] > 0) == (t % 3 == 2)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("skipping", ["one", "two", "both"])
def test_a_scaler_that_skips_some_of_them(fused, skipping):
    model, scaler = loops.net(), torch.amp.GradScaler("cpu", init_scale=512.0)
    names = {"one": [model.one.weight], "two": [model.two.weight, *model.head.parameters()]}
    optimizers = {
        name: torch.optim.AdamW(tensors, lr=0.01, fused=fused) for name, tensors in names.items()
    }
    seen = []
    with lc.watch(model, [*optimizers.values()], quiet=True) as w:
        for t in range(5):
            oracle = loops.net().double()
            oracle.load_state_dict(model.state_dict())
            before, used = loops.weights(model), loops.plain_gradients(oracle, t)
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            loss = loops.loss_of(model, t)
            scaler.scale(loss).backward()
            for name, tensors in names.items():
                if t == 2 and skipping in (name, "both"):
                    tensors[0].grad[0, 0] = math.inf
                    for key, parameter in model.named_parameters():
                        if any(parameter is tensor for tensor in tensors):
                            used[key] = torch.zeros_like(used[key])
            for optimizer in optimizers.values():
                scaler.step(optimizer)
            scaler.update()
            if not (t == 2 and skipping == "both"):
                after = loops.weights(model)
                seen.append(loops.Seen(before, used, after, float(loss.detach())))
            w.log(loss=loss)
    assert len(w.steps) == len(seen)
    for t, each in enumerate(seen):
        check(w.steps.iloc[t], each, BOTH)


def test_a_step_that_fails_in_a_turn():
    model = loops.net()
    first, second = sgd_and_adamw(model)
    turn_of(model, [first, second], 0)

    def fail(*_):
        raise OSError("no such thing")

    with lc.watch(model, [first, second], quiet=True) as w:
        turn_of(model, [first, second], 1)
        failing = second.register_step_pre_hook(fail)
        before = loops.weights(model)
        with pytest.raises(OSError, match="no such thing"):
            turn_of(model, [first, second], 2)
        middle = loops.weights(model)
        failing.remove()
        failing = first.register_step_pre_hook(fail)
        with pytest.raises(OSError, match="no such thing"):
            turn_of(model, [first, second], 3)
        failing.remove()
        turn_of(model, [first, second], 4)
    # Half a turn was made, and nothing at all of another.
    assert len(w.steps) == 3
    x, y = (loops.joined(part, BOTH) for part in (before, middle))
    change = float((y - x).norm() / x.norm())
    assert w.steps["relative_update"][1] == pytest.approx(change, rel=1e-3)


def test_a_resumed_job_of_several(tmp_path):
    """A checkpoint behind half a turn: the turn has ended."""
    model = game()
    often, seldom = sgd([model.often.weight]), sgd([model.seldom.weight])

    def steps(w, numbers):
        for t in numbers:
            turn_of_game = [often, seldom] if t % 2 else [often]
            for optimizer in turn_of_game:
                optimizer.zero_grad()
                loss = game_loss(model, t)
                loss.backward()
                optimizer.step()
            w.log(loss=loss)

    with lc.watch(model, [often, seldom], sink=tmp_path / "run", quiet=True) as w:
        steps(w, range(5))
        state = pickle.loads(pickle.dumps(w.state_dict()))
        assert state["step"] == 5
        steps(w, range(5, 7))
    again = lc.watch(model, [often, seldom], sink=tmp_path / "run", quiet=True)
    again.load_state_dict(state)
    steps(again, range(5, 9))
    again.close()
    assert list(again.steps["step"]) == list(range(9))


def test_groups_of_several_may_grow():
    model = loops.net()
    first, second = sgd([model.one.weight]), sgd([*model.head.parameters()], lr=0.02)
    with lc.watch(model, [first, second], quiet=True) as w:
        for t in range(6):
            if t == 3:
                first.add_param_group({"params": [model.two.weight], "lr": 0.03})
            turn_of(model, [first, second], t)
    two = w.groups[w.groups["group"] == "two.weight"]
    assert list(two["step"]) == [3, 4, 5] and set(two["lr"]) == {0.03}
    assert set(w.groups[w.groups["group"] == "other"]["lr"]) == {0.02}


def test_optimizers_that_step_while_gradients_come():
    """One a tensor, as torchtitan's that save memory: each steps as soon as it can."""
    model = loops.net()
    by_tensor = {p: sgd([p]) for p in model.parameters()}

    class InBackward(Container):
        def step(self, closure=None):
            pass

        def zero_grad(self, set_to_none=True):
            pass

    def move(parameter):
        by_tensor[parameter].step()
        by_tensor[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(move)
    container = InBackward([*by_tensor.values()])
    seen = []
    with lc.watch(model, container, quiet=True) as w:
        for t in range(3):

            def turn(t=t):
                loss = loops.loss_of(model, t)
                loss.backward()
                container.step()
                return loss

            seen.append(seen_around(model, loops.net, t, turn))
            w.log(loss=seen[-1].loss)
    assert list(w.steps["step"]) == [0, 1, 2]
    for t in range(3):
        check(w.steps.iloc[t], seen[t], BOTH)


def test_closing_removes_every_trace_of_all():
    model = loops.net()
    container = Container(sgd_and_adamw(model))
    every = [container, *container.optimizers]

    def hooks():
        tables = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
        return [dict(getattr(o, table)) for o in every for table in tables]

    before = hooks()
    w = lc.watch(model, container, quiet=True)
    copied = copy.deepcopy(model)
    pickle.dumps(copied)
    turn_of(model, [container], 0)
    w.close()
    assert hooks() == before and not model._forward_pre_hooks


def test_what_is_no_set_of_optimizers_is_refused():
    model = loops.net()
    with pytest.raises(UserError, match="a list of them must hold one"):
        lc.watch(model, [])
    with pytest.raises(UserError, match="not int"):
        lc.watch(model, [sgd(model.parameters()), 3])
    with pytest.raises(UserError, match="SGD and Adam both move a tensor of shape"):
        lc.watch(model, [sgd(model.parameters()), torch.optim.Adam(model.parameters())])
    same = sgd(model.parameters())
    lc.watch(model, [same, same], quiet=True).close()
    lc.watch(model, Chained([same]), quiet=True).close()
    wrapper = type("ScheduleFreeWrapper", (), {})()
    wrapper.base = same
    with pytest.raises(UserError, match="ScheduleFreeWrapper has its optimizer step other weights"):
        lc.watch(model, wrapper)
