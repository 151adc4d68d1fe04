"""What a newcomer types first: nothing, --help, and words that are nearly right."""

import argparse
import os
import subprocess
import sys
from dataclasses import fields
from importlib.util import find_spec
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limitcycle.cli.main import main
from limitcycle.cli.settings import GROUPS, SETTINGS
from limitcycle.cli.verbs import _AXES, _DEVICES, _SCALES, VERBS, parser
from limitcycle.errors import UserError, did_you_mean
from limitcycle.lab.machine import Precision
from limitcycle.paper import SCALES
from limitcycle.record import Run
from limitcycle.report.content import AXIS_NAMES
from limitcycle.report.figure import TimeAxis


def actions(verb):
    return parser().verbs[verb]._actions


ALL = [(verb, action) for verb in VERBS for action in actions(verb)]
OPTIONS = [
    (verb, action) for verb, action in ALL if action.option_strings and action.dest != "help"
]


def said(arguments, capsys):
    """What a command complains of, in its one line."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_without_arguments_there_is_help(capsys):
    assert main([]) == 0
    bare = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert capsys.readouterr().out == bare
    assert all(verb in bare for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_misspelt_is_understood(verb, capsys):
    assert did_you_mean_of(verb[:1] + verb[2] + verb[1] + verb[3:], capsys) == verb
    assert did_you_mean_of(verb + "s", capsys) == verb
    assert did_you_mean_of(verb.upper(), capsys) == verb


def did_you_mean_of(word, capsys):
    line = said([word], capsys)
    assert f"unknown verb {word!r}" in line
    return line.partition("did you mean ")[2].partition("?")[0]


@pytest.mark.parametrize(("verb", "action"), OPTIONS)
def test_an_option_misspelt_is_understood(verb, action, capsys):
    """Before something else is missed, as here the --out that ``train`` needs."""
    option = action.option_strings[-1]
    for wrong in (option + "x", option[:-1] + "_" + option[-1], option[1:]):
        line = said([verb, f"{wrong}=3"], capsys)
        assert f"unknown option {wrong!r}" in line
        assert f"did you mean {option}?" in line or len(option) < 5, line


@pytest.mark.parametrize("second", ["--{}", "--{}=1", "--{}=a b"])
@pytest.mark.parametrize(("verb", "action"), OPTIONS)
def test_an_option_given_twice_is_refused(verb, action, second, capsys):
    """argparse would take the last value without a word. A flag says the same twice."""
    option = action.option_strings[-1]
    given = [verb, option, "1", second.format(option[2:]), "2"]
    if action.nargs == 0:
        parser().refuse_early(given)
        return
    line = said(given, capsys)
    assert f"{option} is given twice: " in line
    assert (f"several values follow one {option}" in line) == (action.nargs == "+")


def test_the_beginning_of_an_option_is_that_option(capsys):
    line = said(["train", "--lr", "1", "--weight-d", "1", "--weight=2", "--out", "x"], capsys)
    assert "--weight-decay is given twice" in line
    line = said(["train", "--s", "1", "--s", "2", "--out", "x"], capsys)
    assert "ambiguous option: --s" in line
    parser().refuse_early(["report", "--axis", "steps", "--", "--axis"])  # a folder of that name


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["train", "--otu", "x"], "--out"),
        (["diagnose", "a.csv", "--weigth-decay", "1"], "--weight-decay"),
        (["diagnose", "-json", "a.csv"], "--json"),
        (["report", "x", "--axis", "period"], "periods"),
        (["paper", "2", "--on", "rya"], "ray"),
        (["--versoin"], "--version"),
    ],
)
def test_what_was_meant(arguments, meant, capsys):
    assert f"did you mean {meant}?" in said(arguments, capsys)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["train", "--net", "resnet"], "resnet18"),
        (["train", "--data", "CIFAR10"], "cifar10"),
        (["train", "--schedule", "cosin"], "cosine"),
        (["train", "--dtype", "flaot32"], "float32"),
        (["train", "--norm", "batchaffine"], "batch-affine"),
        (["train", "--precision", "high"], "highest"),
        (["train", "--device", "cdua"], "cuda"),
        (["paper", "--scale", "labtop"], "laptop"),
        (["map", "--x", "weigth-decay"], "weight-decay"),
    ],
)
def test_what_value_was_meant(arguments, meant, capsys, tmp_path):
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


WORDS = st.text("abcXYZ-_ 1ρ", max_size=12)


@given(WORDS, st.lists(WORDS, max_size=5))
def test_what_is_meant_is_something_known(word, known):
    meant = did_you_mean(word, known)
    assert not meant or meant[len(": did you mean ") : -1] in known


@pytest.mark.parametrize(("verb", "action"), ALL)
def test_every_option_says_what_it_is_and_its_default(verb, action):
    assert action.help and not action.help[0].isspace()
    has_default = action.default not in (None, False, [None], argparse.SUPPRESS)
    if action.option_strings and has_default:
        assert "default" in action.help


def test_settings_have_the_defaults_and_the_words_of_a_run():
    """Help says them without importing what a run is."""
    plain, kinds = Run(), get_type_hints(Run)
    assert {setting.name for setting in SETTINGS} == {field.name for field in fields(Run)}
    for setting in SETTINGS:
        assert setting.group in GROUPS
        if setting.default is not None:
            assert setting.default == getattr(plain, setting.name)
        if setting.kind is str and setting.name != "start_from":
            assert setting.choices == get_args(kinds[setting.name])


def test_other_words_in_the_help_are_those_that_are_taken():
    assert get_args(TimeAxis) == _AXES == AXIS_NAMES
    assert tuple(SCALES) == _SCALES
    assert set(_DEVICES) == {"cpu", "cuda"}
    (precision,) = [a for verb, a in OPTIONS if verb == "train" and a.dest == "precision"]
    assert tuple(precision.completer()) == get_args(Precision)
    with pytest.raises(UserError, match="did you mean batch"):
        Run(norm="bacth")


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_the_terminal(verb, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    usage, *lines = parser().verbs[verb].format_help().splitlines()
    assert usage and max(map(len, lines)) <= columns


@pytest.mark.skipif(find_spec("argcomplete") is None, reason="argcomplete is not installed")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("limitcycle ", {"train", "paper"}),
        ("limitcycle tr", {"train"}),
        ("limitcycle train --we", {"--weight-decay"}),
        ("limitcycle train --net ", {"mlp", "convnet", "resnet18"}),
        ("limitcycle report x --axis ", set(_AXES)),
    ],
)
def test_the_shell_completes(line, offered, tmp_path):
    answer = tmp_path / "answer"
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SHELL": "bash",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    program = "from limitcycle.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", program], env=environment, timeout=60)
    words = {word.strip() for word in answer.read_text().split("\n")}
    assert offered <= words if line.endswith("limitcycle ") else offered == words
