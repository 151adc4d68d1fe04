"""MLflow's stores as MLflow leaves them, read without it."""

import sqlite3

import pytest

from limitcycle.errors import UserError
from limitcycle.record.logs import as_table
from limitcycle.record.mlflow import mlflow_folders, read_mlflow_database, read_mlflow_folder
from tests.record.logged import write_mlruns

ROWS = [(k, 1.0 / (k + 1), 40.0 + k) for k in range(50)]


def write_database(path, runs=("mine", "other")):
    """The two tables of MLflow's that hold what is logged."""
    db = sqlite3.connect(path)
    db.execute("create table runs (run_uuid text primary key, name text)")
    db.execute(
        "create table metrics (key text, value double, timestamp bigint, run_uuid text, "
        "step bigint, is_nan boolean)"
    )
    for name in runs:
        db.execute("insert into runs values (?, ?)", (f"id-{name}", name))
        for step, loss, norm in ROWS:
            for key, value in (("train/loss", loss), ("weight_norm", norm)):
                row = (key, value, 1000 + step, f"id-{name}", step, False)
                db.execute("insert into metrics values (?, ?, ?, ?, ?, ?)", row)
    db.execute("update metrics set is_nan = true, value = 0 where key = 'train/loss' and step = 7")
    db.commit()
    db.close()
    return path


def rows_of(log):
    table, _ = as_table(log, {})
    return list(table[["step", "loss", "norm"]].itertuples(index=False, name=None))


def test_a_folder_of_runs(tmp_path):
    write_mlruns(tmp_path / "mlruns", ROWS)
    (folder,) = mlflow_folders(tmp_path)
    log = read_mlflow_folder(folder)
    assert log.name == "mine" and rows_of(log) == ROWS


def test_a_file_with_many_runs(tmp_path):
    logs = read_mlflow_database(write_database(tmp_path / "mlflow.db"))
    assert [log.name for log in logs] == ["mine", "other"]
    for log in logs:
        rows = rows_of(log)
        assert rows[7][1] != rows[7][1]  # logged as NaN
        assert rows[:7] == ROWS[:7] and rows[8:] == ROWS[8:]


def test_what_is_not_of_mlflow_is_refused(tmp_path):
    (tmp_path / "x.db").write_bytes(b"garbage" * 100)
    with pytest.raises(UserError, match="no SQLite file of MLflow"):
        read_mlflow_database(tmp_path / "x.db")
    sqlite3.connect(tmp_path / "y.db").execute("create table t (a int)").connection.close()
    with pytest.raises(UserError, match="no SQLite file of MLflow"):
        read_mlflow_database(tmp_path / "y.db")
    with pytest.raises(UserError, match="no run in it has logged"):
        read_mlflow_database(write_database(tmp_path / "z.db", runs=()))
    write_mlruns(tmp_path / "mlruns", ROWS)
    (folder,) = mlflow_folders(tmp_path)
    (folder / "metrics" / "weight_norm").write_text("what is this\n")
    with pytest.raises(UserError, match="is no file of a metric"):
        rows_of(read_mlflow_folder(folder))
