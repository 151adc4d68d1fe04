"""A refusal calls an option what was typed, whatever Python calls it."""

import contextlib

import pytest

from limitcycle.cli.main import _spelt, main
from limitcycle.cli.settings import SETTINGS
from limitcycle.cli.typed import as_typed
from limitcycle.cli.verbs import parser

SMALL = ["--width", "8", "--test-size", "16", "--steps", "3"]
WITH_VALUES = [each for each in SETTINGS if "_" in each.name and each.kind is not bool]
NAMES = ("lr", "batch_size", "train_size", "weight_decay")


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ("train_size must be 3", "--train-size must be 3"),
        ("change batch_size or train_size", "change --batch-size or --train-size"),
        ("lr × weight_decay is 2: no", "lr × --weight-decay is 2: no"),
        ("(batch_size): choose", "(--batch-size): choose"),
        ("runs/weight_decay=1 is no run", "runs/weight_decay=1 is no run"),
        ("lr=1_weight_decay=1: killed", "lr=1_weight_decay=1: killed"),
        ("cannot write train_size.csv", "cannot write train_size.csv"),
        ("net must be mlp, not 'train_size'", "net must be mlp, not 'train_size'"),
        ("a/run.json says train_size 3", "a/run.json says train_size 3"),
        ("my_train_size, train_sizes", "my_train_size, train_sizes"),
    ],
)
def test_only_names_of_options_are_spelt_as_typed(message, typed):
    assert as_typed(message, NAMES) == typed


@pytest.mark.parametrize("setting", WITH_VALUES, ids=lambda each: each.name)
@pytest.mark.parametrize("verb", ["train", "map"])
def test_every_setting_is_refused_as_typed(verb, setting, tmp_path, capsys):
    value = "nowhere" if setting.name == "start_from" else "-1"
    out = ["--out", str(tmp_path / "out")]
    with contextlib.suppress(SystemExit):  # argparse's own word
        assert main([verb, *out, setting.flag, value]) == 2
    said = capsys.readouterr().err
    assert setting.flag in said and setting.name not in said


@pytest.mark.parametrize("given", [[], ["--stuck-above", "1"], ["--weight-decay", "1"]])
def test_a_column_of_a_table_keeps_its_name(given):
    spelt = _spelt(parser().parse_args(["diagnose", "log.csv", *given]))
    assert ("weight_decay" in spelt) == ("--weight-decay" in given)
    assert ("stuck_above" in spelt) == ("--stuck-above" in given)


@pytest.mark.parametrize("grid", [["0.1"], ["0.1", "1"]], ids=["run", "grid"])
def test_what_only_the_data_can_say_is_said_as_typed(grid, tmp_path, capsys):
    """One image is left over, which batch normalisation cannot take."""
    given = [*SMALL, "--train-size", "33", "--batch-size", "32", "--lr", *grid]
    assert main(["train", *given, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "--batch-size or --train-size" in said and "_size" not in said
