"""What the search refuses, and that it gives the model back as it was."""

import contextlib
import copy
import pickle
import random
import warnings
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from limitcycle.errors import UserError
from limitcycle.symmetry import Symmetries, symmetries
from tests.symmetry.zoo import mlp, vectors


def snapshot(model: nn.Module) -> dict[str, object]:
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "grad": {name: copy.deepcopy(p.grad) for name, p in model.named_parameters()},
        "trained": {name: p.requires_grad for name, p in model.named_parameters()},
        "mode": [module.training for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "eps": [getattr(module, "eps", None) for module in model.modules()],
        "random": (torch.get_rng_state(), np.random.random(), random.random()),  # noqa: NPY002
        "default": torch.get_default_dtype(),
    }


def equal(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def seeded() -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)


class Restless(nn.Module):
    """Does in one forward pass all that may be left behind, and fails at the end if told to."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        super().__init__()
        self.net, self.calls, self.fails_at = mlp(), 0, fails_at

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen = x
        self.net[1].eps = 1e-4
        self.train()
        noise = torch.rand(1) + np.random.random() + random.random()  # noqa: NPY002
        if self.fails_at and self.calls >= self.fails_at:
            raise RuntimeError("out of order")
        return self.net(F.dropout(x, 0.5)) * noise.to(x.dtype)


@pytest.mark.parametrize("fails_at", [None, 1, 3, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_model_comes_back_untouched(fails_at, dtype):
    model = Restless(fails_at=fails_at).to(dtype)
    model(vectors().to(dtype)).sum().backward() if fails_at is None else None
    batch = vectors().to(dtype)
    parameters, kept = list(model.parameters()), batch.clone()
    seeded()
    before = snapshot(model)
    seeded()
    if fails_at is None:
        answer = symmetries(model, batch)
        assert len(answer.scale_invariant) == 3
    else:
        with pytest.raises(RuntimeError, match="out of order"):
            symmetries(model, batch)
    assert equal(before, snapshot(model))
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert torch.equal(batch, kept)


def test_in_place_work_on_the_batch_stays_inside():
    batch = vectors()
    kept = batch.clone()
    symmetries(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(10, 3)), batch)
    assert torch.equal(batch, kept)


def test_it_works_where_no_gradient_is_recorded():
    with torch.no_grad():
        assert len(symmetries(mlp(), vectors()).groups) == 3


def test_the_same_question_gets_the_same_answer():
    model, batch = mlp(affine=True), vectors()
    assert symmetries(model, batch) == symmetries(model, batch)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(10, 3), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.layer(x) * self.calls


class Drawing(Counting):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.generator = getattr(self, "generator", torch.Generator())
        return self.layer(x) + torch.rand(3, generator=self.generator)


class Thresholded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(10, 10), nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two((4 * self.one(x)).round())


class Detached(Thresholded):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x).detach())


class Saturated(Counting):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (1e5 * self.layer(x)).softmax(1)


class NotFinite(Counting):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) / 0


class NoOutput(Counting):
    def forward(self, x: torch.Tensor) -> dict[str, str]:
        return {"text": "nothing"}


def scripted() -> nn.Module:
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.trace(nn.Linear(10, 3), vectors())


REFUSED = {
    "running statistics": (
        lambda: mlp().eval(),
        vectors,
        r"\(1\) uses running statistics.*train.*3 tensors would be scale-invariant in train mode: "
        r"0\.weight, 3\.weight, 6\.weight",
    ),
    "TorchScript": (
        scripted,
        vectors,
        "TorchScript cannot be probed",
    ),
    "lazy": (lambda: nn.LazyLinear(3), vectors, "weight has no values yet"),
    "detached": (Detached, vectors, r"detaches \(sign"),
    "saturated": (Saturated, vectors, "depends on no trainable parameter on this batch"),
    "only signs": (mlp, lambda: torch.randn(2, 10), "over 2 values leaves only signs"),
    "signs by groups": (
        lambda: nn.Sequential(nn.Linear(10, 8), nn.GroupNorm(4, 8), nn.Linear(8, 3)),
        vectors,
        "over 2 values leaves only signs",
    ),
    "state": (Counting, vectors, "differs between two equal calls"),
    "own generator": (Drawing, vectors, "differs between two equal calls"),
    "frozen": (lambda: mlp().requires_grad_(False), vectors, "no trainable parameter"),
    "not finite": (NotFinite, vectors, "not finite"),
    "no output": (NoOutput, vectors, "depends on no trainable parameter"),
    "rounding": (Thresholded, vectors, "rounds, thresholds"),
}


@pytest.mark.parametrize("make, batch, message", REFUSED.values(), ids=list(REFUSED))
def test_what_has_no_answer_is_refused_in_one_line(make, batch, message):
    torch.manual_seed(0)
    model = make()
    with pytest.raises(UserError, match=message) as refusal:
        symmetries(model, batch())
    assert "\n" not in str(refusal.value)


def test_frozen_statistics_among_others_are_constants():
    """Of a normalisation in eval mode in a model in train mode: the rest is judged."""
    torch.manual_seed(0)
    frozen = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8, affine=False), nn.Tanh())
    model = nn.Sequential(frozen, nn.Linear(8, 6, bias=False), nn.BatchNorm1d(6), nn.Linear(6, 3))
    with torch.no_grad():
        model(3 * torch.randn(64, 10) + 1)  # statistics of some size
    frozen.eval()
    assert symmetries(model, vectors()).scale_invariant == ("1.weight",)


class Routed(nn.Module):
    """The last sample alone goes to the second expert."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(10, 6, bias=False) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(6, elementwise_affine=False), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
        parts = [self.experts[k](x[expert == k]) for k in range(2)]
        return self.head(self.norm(torch.cat(parts)))


def test_every_sample_counts():
    torch.manual_seed(0)
    expert = torch.tensor([0] * 15 + [1])
    answer = symmetries(Routed(), (torch.randn(16, 10), expert))
    assert answer.scale_invariant == ("experts.0.weight", "experts.1.weight")


def test_hooks_that_only_listen_hear_nothing_and_others_count():
    torch.manual_seed(0)
    model, heard = mlp(), []

    def listen(module, inputs, output):
        heard.append(output)

    def double(module, inputs, output):
        heard.append(output)
        return output * inputs[0].norm()

    model[0].register_forward_hook(listen)
    listening = dict(model[0]._forward_hooks)
    plain = symmetries(model, vectors())
    assert not heard and dict(model[0]._forward_hooks) == listening
    model[-1].register_forward_hook(double)
    assert symmetries(model, vectors()) is not None and heard
    assert len(plain.groups) == 3


class Remembering(nn.Module):
    """Changes what it holds in place, at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.seen, self.by_name = nn.Linear(10, 3), [], {"calls": [0]}
        self.mean, self.array = torch.zeros(3), np.zeros(2)
        self.random = torch.Generator().manual_seed(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        self.by_name["calls"][0] += 1
        y = self.layer(x)
        with torch.no_grad():
            self.mean.add_(y.mean(0).to(self.mean.dtype))
        self.array += 1
        torch.rand(3, generator=self.random)
        return y.tanh()


def test_what_a_forward_pass_changes_in_place_is_put_back():
    torch.manual_seed(0)
    model = Remembering()
    state = model.random.get_state().clone()
    symmetries(model, vectors())
    assert model.seen == [] and model.by_name == {"calls": [0]}
    assert not model.mean.any() and not model.array.any()
    assert torch.equal(model.random.get_state(), state)


def test_a_number_beside_the_samples_is_no_sample():
    """A large batch with a count beside it costs as little as a few samples."""
    sizes = []

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp()

        def forward(self, x: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return self.net(x) / items

    torch.manual_seed(0)
    model, x = Counted(), torch.randn(64, 10)
    answer = symmetries(model, {"x": x, "items": torch.tensor(64)})
    assert max(sizes) < 16
    plain = symmetries(model.net, x)
    assert answer.scale_invariant == tuple(f"net.{name}" for name in plain.scale_invariant)


def test_asking_what_train_mode_would_say_leaves_the_model_in_its_mode():
    model = mlp().eval()
    model[4].train()
    before = snapshot(model)
    with pytest.raises(UserError, match="would be scale-invariant"):
        symmetries(model, vectors())
    for part in ("state", "grad", "mode", "attributes"):
        assert equal(before[part], snapshot(model)[part])


def test_complex_weights_and_outputs():
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Parameter(torch.randn(10, 4, dtype=torch.complex64))
            self.phase = nn.Parameter(torch.randn(4, dtype=torch.complex64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.to(self.layer.dtype) @ self.layer
            return y / y.abs().square().mean(0).sqrt() * self.phase

    answer = symmetries(Complex(), vectors())
    assert answer.scale_invariant == ("layer",) and answer.not_invariant == ("phase",)


def test_sparse_gradients():
    model = nn.Sequential(nn.Embedding(9, 8, sparse=True), nn.LayerNorm(8), nn.Linear(8, 3))
    assert symmetries(model, torch.randint(9, (5, 4))).scale_invariant == ("0.weight",)


def test_weights_that_are_not_finite_are_named():
    model = mlp()
    with torch.no_grad():
        model[3].weight[0, 0] = torch.nan
    with pytest.raises(UserError, match=r"3\.weight"):
        symmetries(model, vectors())


def test_a_net_too_deep_to_tell_is_refused_rather_than_guessed():
    layers = [layer for _ in range(90) for layer in (nn.Linear(4, 4), nn.Sigmoid())]
    with pytest.raises(UserError, match="orders of magnitude"):
        symmetries(nn.Sequential(*layers), torch.randn(8, 4))


def test_a_loss_may_be_invariant_where_the_output_is_not():
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(10, 4, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    model, batch = Linear(), vectors()
    assert symmetries(model, batch).not_invariant == ("layer.weight",)
    direction = torch.randn(16, 4)
    answer = symmetries(
        model, batch, lambda out: F.cosine_similarity(out, direction.to(out.dtype)).mean()
    )
    assert answer.scale_invariant == ("layer.weight",)
    with pytest.raises(UserError, match="scalar"):
        symmetries(model, batch, lambda out: out)


def test_wrappers_are_looked_through():
    model = mlp()
    names = symmetries(model, vectors()).scale_invariant
    assert symmetries(nn.DataParallel(model), vectors()).scale_invariant == names
    compiled = torch.compile(model, backend="eager")
    assert symmetries(compiled, vectors()).scale_invariant == names
    model.compile(backend="eager")
    assert symmetries(model, vectors()).scale_invariant == names
    assert model._compiled_call_impl is not None


def test_an_eps_out_of_reach_makes_the_symmetry_nearly_one():
    class Tensorial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.eps = nn.Linear(10, 10, bias=False), torch.tensor(1e-5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.layer(x)
            return torch.tanh(y / torch.sqrt(y.var(0) + self.eps))

    torch.manual_seed(0)
    answer = symmetries(Tensorial(), vectors())
    (group,) = answer.groups
    assert group.kind == "scale-invariant" and group.approximate
    assert 1e-9 < group.residual < 1e-3 and "nearly" in str(answer)


def test_the_leak_is_the_one_of_the_model_as_it_is():
    """For BN(w·x) the leak is known: relative to the tangent it grows like eps over variance."""
    torch.manual_seed(0)
    model, batch = mlp(), vectors()
    small = {group.names: group.leak for group in symmetries(model, batch).groups}
    with torch.no_grad():
        model[0].weight *= 0.1
    large = {group.names: group.leak for group in symmetries(model, batch).groups}
    assert large["0.weight",] > 20 * small["0.weight",]
    assert 0 < max(small.values()) < 1e-3


def test_is_symmetry_names_what_it_does_not_know():
    answer = symmetries(mlp(), vectors())
    assert answer.is_symmetry({}) and answer.is_symmetry({"0.weight": -3, "3.weight": 0.5})
    with pytest.raises(UserError, match=r"nothing\.weight"):
        answer.is_symmetry({"nothing.weight": 1})


def test_an_answer_read_from_a_file_is_bound_to_its_model_only():
    model = mlp()
    answer = symmetries(model, vectors())
    assert dict(answer.parameters) == {n: p for n, p in model.named_parameters() if p.requires_grad}
    read = pickle.loads(pickle.dumps(Symmetries.from_dict(answer.to_dict())))
    assert read == answer and not read.parameters
    assert read.bound(model).parameters["0.weight"] is model[0].weight
    with pytest.raises(UserError, match=r"'0\.bias' is only in the model"):
        read.bound(mlp(bias=True))


class Listener:
    """Hears, and returns nothing."""

    def __init__(self):
        self.heard = []

    def __call__(self, *_):
        self.heard.append(1)


def test_all_kinds_of_hooks_that_only_listen_hear_nothing():

    model = nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8, affine=False))
    heard, listener = [], Listener()
    model[0].register_forward_hook(lambda *_: heard.append(1))
    model[0].register_forward_hook(lambda _m, _i, out: heard.append(out.norm().item()))
    model[0].register_forward_pre_hook(partial(lambda seen, *_: seen.append(1), heard))
    model.register_forward_hook(listener)
    found = symmetries(model, torch.randn(8, 6))
    assert found.scale_invariant == ("0.weight",)
    assert heard == [] and listener.heard == []
    model(torch.randn(8, 6))
    assert len(heard) == 3 and listener.heard == [1]


@pytest.mark.parametrize(
    "change",
    [
        lambda _m, _i, out: out + 1,
        lambda _m, _i, out: ([].append(1), out + 1)[1],
        lambda _m, _i, out: [].append(1) or out + 1,
        lambda _m, _i, out: torch.add([].append(out) or out, 1),
    ],
)
def test_a_hook_that_changes_the_output_is_part_of_the_model(change):
    model = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Flatten())
    model[0].register_forward_hook(change)
    model.append(nn.RMSNorm(8, elementwise_affine=False))
    assert symmetries(model, torch.randn(8, 6)).scale_invariant == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch would rather compile
def test_a_model_with_scripted_parts_is_left_as_it_was():
    part = torch.jit.script(nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8)))
    model = nn.Sequential(part, nn.Linear(8, 3))
    hook = model.register_forward_hook(lambda _m, _i, out: out)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with contextlib.suppress(Exception):
        symmetries(model, torch.randn(8, 6))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert list(model._forward_hooks) == [hook.id]
