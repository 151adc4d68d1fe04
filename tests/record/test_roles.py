"""A name is taken where it can mean one thing only."""

import pytest

from limitcycle.errors import UserError
from limitcycle.record.roles import candidates, choose, choose_step


@pytest.mark.parametrize(
    ("role", "meant", "not_meant"),
    [
        (
            "loss",
            ["loss", "Train/Loss", "train_loss", "Loss/train", "train_loss_step", "training loss"],
            ["val_loss", "eval/loss", "train_loss_epoch", "loss_scale", "test loss", "lossy"],
        ),
        (
            "norm",
            ["norm", "weight_norm", "param_norm", "train/weight_norm", "Weights Norm"],
            ["grad_norm", "train/grad_norm", "weight_norm/layer1", "gradient_norm", "norm_ratio"],
        ),
        (
            "lr",
            ["lr", "train/lr", "lr-SGD", "lr-AdamW", "train/learning_rate"],
            ["lr-SGD-momentum", "lr-SGD-weight_decay", "effective_lr", "lr_head"],
        ),
        ("weight_decay", ["weight_decay", "wd", "lr-SGD-weight_decay"], ["decay", "lr-SGD"]),
        ("momentum", ["momentum", "lr-SGD-momentum"], ["bn_momentum"]),
        ("step", ["global_step", "trainer/global_step", "train/global_step", "Step"], ["epoch"]),
    ],
)
def test_usual_names_and_their_neighbours(role, meant, not_meant):
    assert candidates(role, [*meant, *not_meant]) == meant


def test_what_is_taken_is_told_and_what_was_said_is_not():
    names = ["train/loss", "my norm", "lr-SGD", "eval/loss"]
    choice = choose("log", names, {"norm": "my norm", "loss": None}, "log it")
    assert dict(choice.names) == {"loss": "train/loss", "norm": "my norm", "lr": "lr-SGD"}
    assert choice.notes == ("taken: loss = 'train/loss', lr = 'lr-SGD'",)


@pytest.mark.parametrize(
    ("names", "given", "said"),
    [
        (["loss", "train/loss", "norm"], {}, "'loss' or 'train/loss' may be the loss: .*--loss"),
        (["loss", "norm", "weight_norm"], {}, "'norm' or 'weight_norm' may be the norm: .*--norm"),
        (["acc", "norm"], {}, "no loss by a usual name; it has 'acc', 'norm': .*--loss NAME"),
        (["loss"], {}, "norm turning from falling to rising .* log it"),
        (["loss", "norm"], {"loss": "nope"}, "no 'nope' .--loss.; it has 'loss', 'norm'"),
        ([f"m{i}" for i in range(30)], {}, "'m11' and 18 more"),
    ],
)
def test_doubt_and_lack_are_refused_by_name(names, given, said):
    with pytest.raises(UserError, match=said) as refusal:
        choose("log", names, given, "log it")
    assert "\n" not in str(refusal.value)


def test_two_learning_rates_are_left_out_and_named():
    names = ["loss", "norm", "lr-SGD", "learning_rate"]
    choice = choose("log", names, {}, "")
    assert "lr" not in choice.names
    assert "'lr-SGD' or 'learning_rate'" in choice.notes[-1] and "--lr" in choice.notes[-1]


def test_the_count_of_log_calls_is_the_last_resort():
    assert choose_step("log", ["_step", "loss"], None) == "_step"
    assert choose_step("log", ["_step", "trainer/global_step"], None) == "trainer/global_step"
    assert choose_step("log", ["_step", "global_step"], "_step") == "_step"
    with pytest.raises(UserError, match="'global_step' or 'iteration' may be the step"):
        choose_step("log", ["global_step", "iteration", "_step"], None)
