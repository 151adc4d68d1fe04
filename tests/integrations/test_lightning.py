"""Watching under Lightning's trainer: the same rows as by hand, the same bits as unwatched."""

import importlib
import pickle
import signal
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

import limitcycle as lc
from limitcycle.errors import UserError
from limitcycle.integrations import lightning as adapter
from limitcycle.reading import Forecast
from tests.integrations.support import (
    HERE,
    by_hand,
    check_left_as_it_was,
    check_rows,
    check_weights,
    cross_entropy,
    sgd,
)
from tests.watching import loops

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's advice
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated"),
]
BATCHES = [loops.batch(step) for step in range(5)]


@pytest.fixture
def lightning():
    return importlib.import_module("lightning.pytorch")


def module_of(pl, step=None, optimizers=sgd):
    """A module whose training step calls a part of it, as most do; or does ``step``."""

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.losses = loops.net(), []
            self.automatic_optimization = step is None

        def training_step(self, batch, index):
            if step is not None:
                return step(self, batch, index)
            loss = cross_entropy(self.net(batch[0]), batch[1])
            self.losses.append(float(loss.detach()))
            return loss

        def validation_step(self, batch, index):
            self.log("val_loss", cross_entropy(self.net(batch[0]), batch[1]))

        def configure_optimizers(self):
            return optimizers(self)

    return Module()


def loader(batches=None):
    return DataLoader(BATCHES if batches is None else batches, batch_size=None)


def fit(pl, module, *callbacks, validated=False, ckpt_path=None, **settings):
    given = {"logger": False, "enable_checkpointing": False, "max_epochs": 2, **settings}
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **given,
    )
    trainer.fit(module, loader(), loader() if validated else None, ckpt_path=ckpt_path)
    return trainer


CASES = {
    "plain": ({}, [[batch] for batch in BATCHES], {}),
    "accumulated and clipped": (
        {"accumulate_grad_batches": 2, "gradient_clip_val": 0.3},
        [BATCHES[:2], BATCHES[2:4], BATCHES[4:]],
        {"parts": 2, "clip": 0.3},
    ),
    "validated": ({"validated": True, "val_check_interval": 2}, [[b] for b in BATCHES], {}),
}


PACKAGES = [("lightning.pytorch", case) for case in CASES]
PACKAGES.append(("pytorch_lightning", "accumulated and clipped"))


@pytest.mark.parametrize(("package", "case"), PACKAGES)
def test_rows_are_those_of_the_training_by_hand_and_no_bit_is_changed(package, case):
    pl, (settings, steps, same) = importlib.import_module(package), CASES[case]
    module, watch = module_of(pl), lc.LightningWatch(quiet=True)
    trainer = fit(pl, module, watch, **settings)
    model = loops.net()
    w = by_hand(model, sgd(model), 2 * steps, **same)
    assert isinstance(watch, pl.Callback)
    check_rows(watch.watch.steps, w.steps)
    check_weights(module.net, model)
    assert watch.watch.symmetries.scale_invariant == ("net.one.weight", "net.two.weight")
    check_left_as_it_was(module, trainer.optimizers[0])
    unwatched = module_of(pl)
    fit(pl, unwatched, **settings)
    check_weights(module, unwatched)


def test_the_first_evaluation_of_a_closure_is_the_row(lightning):
    def lbfgs(module):
        return torch.optim.LBFGS(module.parameters(), lr=0.1, max_iter=3)

    module, watch = module_of(lightning, optimizers=lbfgs), lc.LightningWatch(quiet=True)
    fit(lightning, module, watch, max_epochs=1)
    evaluations = len(module.losses) // len(BATCHES)
    assert evaluations > 1
    assert watch.watch.steps["loss"].to_list() == pytest.approx(module.losses[::evaluations])


def adversaries(losses):
    """A training step with two optimizers that step in turn."""

    def step(module, batch, index):
        for optimizer, sign in zip(module.optimizers(), (1, -1), strict=True):
            loss = sign * cross_entropy(module.net(batch[0]), batch[1])
            optimizer.zero_grad()
            module.manual_backward(loss)
            optimizer.step()
            losses[sign].append(float(loss.detach()))

    return step


def two(module):
    net = module.net
    return (
        torch.optim.SGD([*net.one.parameters(), *net.two.parameters()], lr=0.1),
        torch.optim.SGD(net.head.parameters(), lr=0.01),
    )


def test_of_several_optimizers_the_chosen_one_is_watched_with_its_own_loss(lightning):
    losses = {1: [], -1: []}
    watches = [lc.LightningWatch(optimizer=index, quiet=True) for index in (0, 1)]
    module = module_of(lightning, adversaries(losses), two)
    fit(lightning, module, *watches)
    for watch, sign, lr in zip(watches, (1, -1), (0.1, 0.01), strict=True):
        assert watch.watch.steps["loss"].to_list() == pytest.approx(losses[sign])
        assert set(watch.watch.groups["lr"]) == {lr}
    assert set(watches[0].watch.groups["group"]) == {"net.one.weight", "net.two.weight"}
    assert set(watches[1].watch.groups["group"]) == {"other"}


def test_several_optimizers_are_watched_as_one_and_a_row_has_the_mean_of_their_losses(lightning):
    losses = {1: [], -1: []}
    module, watch = module_of(lightning, adversaries(losses), two), lc.LightningWatch(quiet=True)
    fit(lightning, module, watch)
    means = [(one + other) / 2 for one, other in zip(losses[1], losses[-1], strict=True)]
    assert watch.watch.steps["loss"].to_list() == pytest.approx(means)
    assert list(watch.watch.steps["step"]) == list(range(len(losses[1])))
    assert set(watch.watch.groups["lr"]) == {0.1, 0.01}


def one_loss(module, batch, index):
    loss = cross_entropy(module.net(batch[0]), batch[1])
    module.zero_grad()
    module.manual_backward(loss)
    for optimizer in module.optimizers():
        optimizer.step()


def test_one_loss_and_several_optimizers_give_the_rows_of_a_plain_loop(lightning):
    module, watch = module_of(lightning, one_loss, two), lc.LightningWatch(quiet=True)
    fit(lightning, module, watch)
    model = loops.net()
    optimizers = two(SimpleNamespace(net=model))
    with lc.watch(model, list(optimizers), quiet=True) as by_loop:
        for inputs, targets in 2 * BATCHES:
            loss = cross_entropy(model(inputs), targets)
            model.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            by_loop.log(loss=loss)
    check_rows(watch.watch.steps, by_loop.steps)
    check_weights(module.net, model)


def test_of_several_optimizers_those_of_the_part_are_watched(lightning):
    module = module_of(lightning, one_loss, two)
    watch = lc.LightningWatch(model="net.head", quiet=True)
    fit(lightning, module, watch)
    assert set(watch.watch.groups["lr"]) == {0.01}


class Interrupted(Exception):
    pass


def stops_at(step, problem):
    def training_step(module, batch, index):
        if module.trainer.global_step == step:
            raise problem
        loss = cross_entropy(module.net(batch[0]), batch[1])
        optimizer = module.optimizers()
        optimizer.zero_grad()
        module.manual_backward(loss)
        optimizer.step()

    return training_step


def test_a_fit_that_goes_on_continues_its_folder(lightning, tmp_path):
    checkpoints = lightning.callbacks.ModelCheckpoint(tmp_path, "{step}", every_n_epochs=1)
    first = lc.LightningWatch(tmp_path / "run", quiet=True)
    with pytest.raises(Interrupted):
        fit(
            lightning,
            module_of(lightning, stops_at(8, Interrupted("no more"))),
            first,
            checkpoints,
            enable_checkpointing=True,
        )
    status = lc.load(tmp_path / "run").status
    assert (status["state"], status["step"]) == ("failed", 8)
    assert status["reason"] == "Interrupted: no more"
    again = lc.LightningWatch(tmp_path / "run", quiet=True)
    module = module_of(lightning, stops_at(None, None))
    fit(lightning, module, again, max_epochs=3, ckpt_path=checkpoints.best_model_path)
    assert again.watch.symmetries == first.watch.symmetries
    model = loops.net()
    whole = by_hand(model, sgd(model), 3 * [[batch] for batch in BATCHES])
    check_rows(again.watch.steps, whole.steps, rtol=1e-6)  # the first ones from a file
    run = lc.load(tmp_path / "run")
    assert list(run.steps["step"]) == list(range(15)) and run.status["state"] == "done"
    check_weights(module.net, model)


def test_a_fit_that_was_not_watched_before_is_counted_by_the_trainer(lightning, tmp_path):
    checkpoints = lightning.callbacks.ModelCheckpoint(tmp_path)
    fit(lightning, module_of(lightning), checkpoints, enable_checkpointing=True, max_epochs=1)
    watch = lc.LightningWatch(quiet=True)
    trainer = fit(lightning, module_of(lightning), watch, ckpt_path=checkpoints.best_model_path)
    assert list(watch.watch.steps["step"]) == list(range(5, 10))
    trainer.fit_loop.max_epochs = 3
    trainer.fit(trainer.lightning_module, loader())
    assert list(watch.watch.steps["step"]) == list(range(10, 15))


def test_ctrl_c_is_no_failure(lightning, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit):
            fit(
                lightning,
                module_of(lightning, stops_at(3, KeyboardInterrupt())),
                lc.LightningWatch(tmp_path / "run", quiet=True),
            )
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores it from then on
    status = lc.load(tmp_path / "run").status
    assert (status["state"], status["step"]) == ("stopped", 3)


def test_the_trainers_loggers_are_told_at_their_pace(lightning, tmp_path, capsys):
    logger = lightning.loggers.CSVLogger(tmp_path)
    watch = lc.LightningWatch(log=True)
    fit(lightning, module_of(lightning), watch, logger=logger, log_every_n_steps=3)
    told = pd.read_csv(tmp_path / "lightning_logs" / "version_0" / "metrics.csv").set_index("step")
    rows = watch.watch.steps.set_index("step")
    assert list(told.index) == [2, 5, 8]
    for name in ("norm", "effective_lr", "effective_grad_norm", "rotation"):
        assert told[f"limitcycle/{name}"].to_list() == pytest.approx(rows.loc[told.index, name])
    assert str(watch.diagnosis()) in capsys.readouterr().err


def test_a_jump_that_is_about_to_begin_is_called_out_once(lightning, monkeypatch, capsys, tmp_path):
    due = Forecast(1.0, 2.0, 3.0, alarm=True, calibrated=True, reason="")
    monkeypatch.setattr(lc.Watch, "forecast", lambda _: due)
    called = []

    def on_alarm(forecast):
        called.append(forecast)

    logger = lightning.loggers.CSVLogger(tmp_path)
    watch = lc.LightningWatch(on_alarm=on_alarm, forecast_every=2, log=True, quiet=True)
    fit(lightning, module_of(lightning), watch, logger=logger, log_every_n_steps=3)
    assert called == [due]
    told = pd.read_csv(tmp_path / "lightning_logs" / "version_0" / "metrics.csv")
    assert (told["limitcycle/forecast_median"] == 2).all()

    def fails(_):
        raise ValueError("not mine")

    watch = lc.LightningWatch(on_alarm=fails, forecast_every=2, quiet=True)
    fit(lightning, module_of(lightning), watch)
    assert (
        "on_alarm failed (ValueError('not mine')) and is called no more" in capsys.readouterr().err
    )


@pytest.mark.parametrize("every", [0, -1, True, "often"])
def test_looks_ahead_come_every_so_many_steps(lightning, every):
    with pytest.raises(UserError, match="forecast_every must be"):
        lc.LightningWatch(forecast_every=every)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimizer": 2}, "no optimizer 2: the module has 2"),
        ({"optimizer": 0, "model": "nett"}, "no part 'nett'; its parts are: net"),
    ],
)
def test_what_is_not_said_or_not_there_is_refused(lightning, settings, words):
    module = module_of(lightning, adversaries({1: [], -1: []}), two)
    with pytest.raises(UserError, match=words):
        fit(lightning, module, lc.LightningWatch(quiet=True, **settings))


def test_a_module_called_in_parts_is_not_judged_and_a_part_of_it_can_be(lightning):
    def step(module, batch, index):
        net = module.net
        hidden = torch.tanh(net.norm2(net.two(torch.tanh(net.norm1(net.one(batch[0]))))))
        loss = cross_entropy(net.head(hidden), batch[1])
        optimizer = module.optimizers()
        optimizer.zero_grad()
        module.manual_backward(loss)
        optimizer.step()

    watch = lc.LightningWatch(quiet=True)
    fit(lightning, module_of(lightning, step), watch)
    assert "nor a part of it that holds all" in watch.diagnosis().reason
    assert len(watch.watch.steps) > 0
    for part in ("net.one", lambda module: module.net.one):
        watch = lc.LightningWatch(model=part, quiet=True)
        module = module_of(lightning, step)
        before = module.net.one.weight.detach().clone()
        fit(lightning, module, watch)
        assert watch.watch.steps["norm"].iloc[0] == pytest.approx(float(before.norm()), rel=1e-6)


def test_without_lightning_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(adapter, "_PACKAGES", ("no_such_lightning.pytorch",))
    with pytest.raises(UserError, match=r"pip install 'limitcycle\[lightning\]'"):
        lc.LightningWatch()


def test_a_callback_is_copied_with_its_settings(lightning):
    watch = pickle.loads(pickle.dumps(lc.LightningWatch("runs/x", optimizer=1, every=3)))
    assert isinstance(watch, lc.LightningWatch) and isinstance(watch, lightning.Callback)
    assert watch.state_key == lc.LightningWatch(optimizer=1).state_key
    assert watch.state_key != lc.LightningWatch().state_key


SCALED = "ignore:.*lr_scheduler.step.*before.*optimizer.step"


@pytest.mark.slow
@pytest.mark.filterwarnings(SCALED)
def test_the_factor_of_a_scaler_is_not_in_the_loss(lightning):
    """The first attempts overflow in half precision and are skipped: they leave no row."""
    plugins = importlib.import_module("lightning.pytorch.plugins.precision")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**19)
    module, watch = module_of(lightning), lc.LightningWatch(quiet=True)
    precision = plugins.MixedPrecision("16-mixed", "cpu", scaler=scaler)
    fit(lightning, module, watch, plugins=[precision])
    steps = watch.watch.steps
    skipped = len(module.losses) - len(steps)
    assert 0 < skipped < 6
    assert steps["loss"].to_list() == pytest.approx(module.losses[skipped:], rel=1e-3)
    assert steps["grad_norm"].max() < 10


ALONE = """
import sys
from {package} import Trainer
import limitcycle as lc
print(*(kind.__module__.split(".")[0] for kind in type(lc.LightningWatch()).__mro__[3:-1]))
print("{other}" in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "other"),
    [("lightning.pytorch", "pytorch_lightning"), ("pytorch_lightning", "lightning.pytorch")],
)
def test_a_user_of_one_package_does_not_pay_for_the_other(package, other):
    script = ALONE.format(package=package, other=other)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == [package.split(".")[0], "False"], done.stderr


DISTRIBUTED = """
import sys
from lightning import pytorch as pl
import limitcycle as lc
from tests.integrations.test_lightning import fit, loader, module_of

if __name__ == "__main__":
    trainer = pl.Trainer(accelerator="cpu", devices=2, strategy="ddp", max_epochs=2, logger=False,
        enable_checkpointing=False, callbacks=[lc.LightningWatch(sys.argv[1], quiet=True)])
    trainer.fit(module_of(pl), loader())
"""


@pytest.mark.slow
def test_two_processes_are_watched_by_the_first(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(DISTRIBUTED)
    command = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=HERE)
    assert done.returncode == 0, done.stderr
    run = lc.load(tmp_path / "run")
    assert list(run.steps["step"]) == list(range(6)) and run.status["state"] == "done"
    assert set(run.groups["group"]) == {"net.one.weight", "net.two.weight", "other"}
    assert run.steps[["loss", "grad_norm"]].notna().all(axis=None)
