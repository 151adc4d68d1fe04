"""Options at the command line's door: one line, exit code 2, and no folder claimed."""

import pytest

from limitcycle.cli.main import main

GRID = ["--lr", "0.1", "1"]


def ended(arguments):
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--width", "9223372036854775807"], "width must be a whole number from 1 to"),
        (["--width", "1000000"], "GiB of memory"),
        (["--init-scale", "1e-46"], "--init-scale must be from"),
        (["--lr=--"], "argument --lr: expected a value, not --"),
        (["--net", "x" * 5_000], "net must be one of"),
        (["--batch-size", "9" * 400], "a whole number or full below 2^63"),
        (["--seed", "9" * 5_000], "must be a whole number"),
        (["--lr", "1e-320:1e308:5"], "too far apart"),
        (["--lr", f"1:{'9' * 400}:3"], "LOW must be a number below HIGH"),
        (["--lr", "0.1:1:100", "--momentum", "0:0.9:100", "--seed", "0:99:100"], "1,000,000 runs"),
        (
            [*GRID, "--batch-size", "5000"],
            "--batch-size 5,000 is more than the 1,408",
        ),
        (["--train-size", "0"], "limitcycle: --train-size must be a whole number"),
        (["--lr", "9", "--weight-decay", "9"], "lr × --weight-decay is 81"),
        ([*GRID, "--resolution", "7"], "does not divide 8"),
        ([*GRID, "--device", "meta"], "device 'meta' cannot be used"),
        ([*GRID, "--threads", "100000"], "threads must be"),
        (["--start-from", "nowhere"], "--start-from nowhere"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_a_folder_is_made(
    arguments, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert ended(["train", *arguments, "--out", "not/there"]) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1 and len(told) < 1_200
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["", "a\0b", "a\nb" * 100, "x" * 5_000, "/dev/null/x", "file"])
@pytest.mark.parametrize("verb", ["train", "grid", "map", "demo", "report", "diagnose", "paper"])
def test_a_path_that_cannot_be_is_refused(verb, path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    command = {
        "train": ["train", "--out", path],
        "grid": ["train", *GRID, "--out", path],
        "report": ["report", path],
        "diagnose": ["diagnose", path],
        "paper": ["paper", "7", "--results", path or "a\0b"],
    }.get(verb, [verb, "--out", path])
    assert ended(command) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_somebody_else_s_folder_stays_as_it_is(tmp_path, capsys):
    (tmp_path / "theirs").write_text("text")
    assert main(["train", "--out", str(tmp_path)]) == 2
    assert "no run folder and not empty" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["theirs"]


def test_no_eps_is_a_choice(tmp_path):
    small = ["--width", "8", "--train-size", "64", "--test-size", "16", "--batch-size", "32"]
    assert main(["train", *small, "--norm-eps", "0", "--steps", "3", "--out", str(tmp_path)]) == 0


@pytest.mark.parametrize("aim", ["nothing", "itself"])
@pytest.mark.parametrize("command", [["report"], ["diagnose"], ["train", "--out"]], ids=" ".join)
def test_a_link_that_leads_nowhere_is_named(command, aim, tmp_path, capsys):
    path = tmp_path / "itself"
    path.symlink_to(aim)
    assert main([*command, str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path} is a link to {aim}" in line
    assert path.is_symlink() and list(tmp_path.iterdir()) == [path]
