"""Damaged files: loaded, judged, drawn, or refused in one line that says which. Never a traceback.

A seed makes a folder of files of one kind, damages them and opens them at one of the doors.
"""

import os
import random
import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest

import limitcycle as lc
from limitcycle.cli.main import main
from limitcycle.errors import RunError, UserError
from tests.record.logged import ROWS, write_chart, write_events, write_history
from tests.record.test_reading import finished, watched

SEEDS = 3_000


def make_runs(folder: Path) -> None:
    finished(folder / "lab", 30, 60)
    watched(folder / "watched", 30, 60)


def make_events(folder: Path) -> None:
    write_events(folder / "mine", ROWS.iloc[:120])


def make_tables(folder: Path) -> None:
    few = ROWS.iloc[:120]
    few.to_csv(folder / "plain.csv", index=False)
    few.to_csv(folder / "packed.csv.gz", index=False)
    few.to_csv(folder / "plain.tsv", index=False, sep="\t")
    few.to_parquet(folder / "plain.parquet")
    few.set_index("step").to_parquet(folder / "indexed.parquet")
    write_history(folder / "history.csv", few)
    series = pd.Series(few["loss"].to_numpy(), index=few["step"].to_numpy())
    write_chart(folder / "chart.csv", "loss", mine=series)
    few.to_json(folder / "plain.jsonl", orient="records", lines=True)


KINDS = {"runs": make_runs, "events": make_events, "tables": make_tables}


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for kind, make in KINDS.items():
        (folder / kind).mkdir()
        make(folder / kind)
    return folder


@pytest.fixture(autouse=True)
def _without_paint(monkeypatch):
    """What is drawn of odd records tests/report tries; painting it is most of the time."""
    monkeypatch.setattr("limitcycle.report.page.packed_plotly", lambda: "")
    monkeypatch.setattr("limitcycle.report.pictures._paint", lambda figure, path, width: path)


def flip(file: Path, draw: random.Random) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(draw.choice([1, 1, 5, 100])):
        if content:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)


def truncate(file: Path, draw: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: draw.randrange(len(content) + 1)])


def behead(file: Path, draw: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[draw.randrange(len(content) + 1) :])


def repeat(file: Path, draw: random.Random) -> None:
    file.write_bytes(file.read_bytes() * draw.choice([2, 3]))


def garble(file: Path, draw: random.Random) -> None:
    content = bytearray(file.read_bytes())
    start = draw.randrange(len(content) + 1)
    content[start : start + draw.choice([1, 50])] = draw.randbytes(draw.choice([1, 50, 500]))
    file.write_bytes(content)


WORDS = (
    *(b"0", b"null", b"true", b"NaN", b"1e999", b"-1", b'"x"', b"[]", b"{}", b"9" * 5_000, b""),
    *(b'"\\ud800"', b"\xff"),
)


def reword(file: Path, draw: random.Random) -> None:
    """One word of a text for another: what a hand edits."""
    content = file.read_bytes()
    old = draw.choice([b"1", b"0.1", b"60", b'"', b",", b"\n", b"step", b"loss", b"run", b"{"])
    new = draw.choice(WORDS)
    file.write_bytes(content.replace(old, new, draw.choice([1, 1, -1])))


def fill_with(file: Path, draw: random.Random) -> None:
    file.write_bytes(
        draw.choice(
            [
                *(b"", b"\0" * 4_096, b"[" * 50_000, b'{"a":' * 50_000, b"\xff\xfe", b"\n" * 999),
                *(b"null", b"[]", b"3", b'"x"', b"PAR1", b"PAR1PAR1", b"step,loss,norm\n"),
                *(
                    b"a,a\n1,2\n",
                    b'"' * 999,
                    b"," * 9_999,
                    b"\x1f\x8b",
                    b"PK\3\4",
                    b"step\n1,2,3\n",
                ),
            ]
        )
    )


def replace_by_folder(file: Path, draw: random.Random) -> None:
    file.unlink()
    file.mkdir()
    if draw.random() < 0.5:
        (file / "x").write_text("x")


def replace_by_link(file: Path, draw: random.Random) -> None:
    file.unlink()
    file.symlink_to(draw.choice(["nothing", file.name, "..", "/dev/null", "/dev/zero", "/"]))


def replace_by_pipe(file: Path, _: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def remove(file: Path, _: random.Random) -> None:
    file.unlink()


def swap(file: Path, draw: random.Random) -> None:
    others = [other for other in all_files(file.parents[1]) if other != file]
    if others:
        other = draw.choice(others)
        mine = file.read_bytes()
        file.write_bytes(other.read_bytes())
        other.write_bytes(mine)


DAMAGES = (
    *(flip, flip, flip, truncate, behead, repeat, garble, reword, reword, fill_with),
    *(replace_by_folder, replace_by_link, replace_by_pipe, remove, swap),
)


def all_files(folder: Path) -> list[Path]:
    """Files that can still be damaged."""
    found = sorted(path for path in folder.rglob("*") if not path.is_symlink() and path.is_file())
    return [path for path in found if path.name != "lock"]


def damaged(seed: int, originals: Path, folder: Path) -> tuple[Path, random.Random]:
    draw = random.Random(seed)
    kind = draw.choice(["runs", "runs", "runs", "events", "tables", "tables"])
    shutil.copytree(originals / kind, folder / kind)
    for _ in range(draw.choice([1, 1, 2])):
        if files := all_files(folder / kind):
            draw.choice(DAMAGES)(draw.choice(files), draw)
    return folder / kind, draw


def open_at_a_door(folder: Path, draw: random.Random) -> None:
    """One of the ways in which these files are read."""
    inside = sorted(folder.iterdir())
    if folder.name == "tables" and inside:
        return check_command("diagnose", str(draw.choice(inside)))
    door = draw.randrange(6)
    if door == 0 and inside:
        return check_load(lambda: lc.load(draw.choice(inside)))
    if door == 1:
        return check_load(lambda: lc.load_all(folder))
    if door == 2 and folder.name == "runs":
        kind = draw.choice([["report"], ["report", "--axis", "epochs"]])
        out = draw.choice(["page.html", "picture.svg"])
        return check_command(*kind, str(folder), "--out", str(folder.parent / out))
    if door == 3:
        return check_command("diagnose", "--json", str(folder))
    return check_command("diagnose", str(draw.choice([folder, *inside])))


def check_command(*arguments: str) -> None:
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(str(end.code))
    assert code in (0, 1, 2), code


def check_load(door) -> None:
    try:
        runs = door()
        for run in runs if isinstance(runs, list) else [runs]:
            _ = run.steps, run.epochs, run.groups, run.status, run.snapshots
            lc.diagnose(run.steps)
            if run.run is not None:
                run.checkpoint()
    except (UserError, RunError) as problem:
        assert str(problem).strip() and "\n" not in str(problem), repr(str(problem))


def try_files(seed: int, originals: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_at_a_door(*damaged(seed, originals, folder))


def failures(seeds: range, originals: Path, tmp_path: Path, capfd) -> dict[int, str]:
    failed = {}
    for seed in seeds:
        try:
            try_files(seed, originals, tmp_path / "files")
            said = capfd.readouterr().err
            assert "Traceback" not in said, said[-300:]
        except Exception as problem:
            failed[seed] = f"{type(problem).__name__}: {str(problem)[:150]}"
    return failed


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, 500))
def test_damaged_files_are_read_or_refused_in_one_line(first, originals, tmp_path, capfd):
    failed = failures(range(first, first + 500), originals, tmp_path, capfd)
    assert not failed, f"{len(failed)} fail, such as {list(failed.items())[:12]}"


def test_some_damaged_files_are_read_or_refused_in_one_line(originals, tmp_path, capfd):
    failed = failures(range(SEEDS, SEEDS + 25), originals, tmp_path, capfd)
    assert not failed, failed
