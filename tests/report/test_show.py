"""The verbs `report` and `diagnose`: which paths and tables they take, and what they print."""

import dataclasses

import pytest

from limitcycle.cli.main import main
from limitcycle.reading import diagnose


@pytest.fixture
def table(sawtooth):
    return sawtooth(rows=3_000).steps[["step", "loss", "norm"]]


def test_what_is_said_has_a_line_each_however_long_where_nobody_watches(table, tmp_path, capsys):
    path = tmp_path / ("long name " * 12 + ".csv")
    table.to_csv(path, index=False)
    assert main(["diagnose", str(path)]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith(f"{path.name}: periodic: ")
    assert lines == str(diagnose(table)).splitlines()[1:]
    assert max(map(len, lines)) > 120


@pytest.mark.parametrize("name", ["t.CSV", "t.tsv", "t.csv.gz", "t.TSV.GZ", "t.Parquet"])
def test_tables_are_known_by_their_suffix_in_any_case(table, tmp_path, capsys, name):
    path = tmp_path / name
    if name == "t.Parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if "tsv" in name.lower() else ",")
    assert main(["diagnose", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: periodic")


@pytest.mark.parametrize(
    "arguments",
    [["diagnose", ""], ["diagnose", " "], ["report", ""], ["report", "x", ""]],
)
def test_an_empty_path_is_not_this_folder(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert "path is empty" in capsys.readouterr().err


def test_settings_out_of_range_are_refused(table, tmp_path, capsys):
    table.to_csv(tmp_path / "ok.csv", index=False)
    path = str(tmp_path / "ok.csv")
    assert main(["diagnose", path, "--lr", "-1", "--weight-decay", "nan"]) == 2
    assert "lr must be positive and finite, not -1" in capsys.readouterr().err
    assert main(["diagnose", path, "--lr", "1", "--weight-decay", "nan"]) == 2
    assert "--weight-decay must be finite" in capsys.readouterr().err


def test_a_recorded_run_is_judged_with_its_momentum(sawtooth):
    run = sawtooth(rows=6_000, period=600)
    moving = dataclasses.replace(run, run=dataclasses.replace(run.run, momentum=0.5))
    plain, faster = diagnose(run).rest.free_drift, diagnose(moving).rest.free_drift
    assert plain < 0 and faster < 1.5 * plain


def test_a_table_in_other_names_is_helped(table, tmp_path, capsys):
    table = table.rename(columns={"loss": "Loss"})
    table.to_csv(tmp_path / "t.csv", index=False)
    assert main(["diagnose", str(tmp_path / "t.csv")]) == 2
    assert "rename 'Loss' to 'loss'" in capsys.readouterr().err
