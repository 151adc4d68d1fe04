"""MLflow's client finds in its SQLite store what was measured, and the user's beside it."""

import os
import sys

import pytest

from limitcycle.errors import UserError
from limitcycle.watching import MLflow
from limitcycle.watching.loggers import mlflow as module
from tests.watching.loggers.jobs import assert_same, expected, new_job, train

pytestmark = [
    pytest.mark.slow,  # a new store is migrated to its present form, which takes seconds
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    mlflow = pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    former, here = mlflow.get_tracking_uri(), os.getcwd()  # noqa: PTH109
    os.chdir(folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    yield mlflow.MlflowClient()
    os.chdir(here)
    mlflow.set_tracking_uri(former)


def metrics(client, run_id, of="limitcycle"):
    names = client.get_run(run_id).data.metrics
    return {
        name: {m.step: m.value for m in client.get_metric_history(run_id, name)}
        for name in names
        if name.startswith(of)
    }


def test_a_users_run_has_both_and_stays_active(client, monkeypatch):
    import mlflow

    monkeypatch.setattr(module, "MOST_METRICS", 50)
    with mlflow.start_run() as run:
        w = train(MLflow(), meanwhile=lambda step: mlflow.log_metric("mine", step, step))
        assert mlflow.active_run().info.run_id == run.info.run_id
        mlflow.log_metric("mine", -1, 20)
    found = client.get_run(run.info.run_id)
    assert_same(metrics(client, run.info.run_id), expected(w), rtol=1e-12)
    mine = metrics(client, run.info.run_id, "mine")["mine"]
    assert mine == {**{step: step for step in range(20)}, 20: -1}
    params = found.data.params
    assert (params["limitcycle/optimizer"], params["limitcycle/lr"]) == ("SGD", "0.1")
    assert params["limitcycle/scale_invariant"] == "2 of 4 tensors"
    tags = found.data.tags
    assert tags["limitcycle/label"] == w.diagnosis().label
    assert tags["limitcycle/diagnosis"] == str(w.diagnosis())
    file = mlflow.artifacts.load_text(f"{found.info.artifact_uri}/limitcycle/symmetries.txt")
    assert file == str(w.symmetries)


def test_a_run_of_its_own_is_ended_and_gone_on_with_by_its_id(client):
    import mlflow

    job = new_job()
    first = train(MLflow(run_name="first"), 10, job=job)
    assert mlflow.active_run() is None
    (run,) = client.search_runs(["0"], "attributes.run_name = 'first'")
    assert run.info.status == "FINISHED"
    job[1].param_groups[0]["lr"] = 0.05  # what a parameter said stays; the curve tells
    sink = MLflow(run_id=run.info.run_id)
    train(sink, 16, first=10, job=job, state=first.state_dict())
    found = metrics(client, run.info.run_id)["limitcycle/lr"]
    assert found == {step: 0.1 if step < 10 else 0.05 for step in range(16)}
    run = client.get_run(run.info.run_id)
    assert run.info.status == "FINISHED" and run.data.params["limitcycle/lr"] == "0.1"


def test_a_failed_training_is_a_failed_run_and_nan_is_nan(client):
    def fails(step):
        if step == 7:
            raise KeyError("label")

    def spoil(step):
        fails(step)
        if step == 6:
            job[0].head.bias.data.fill_(float("nan"))

    job = new_job()
    with pytest.raises(KeyError):
        train(MLflow(run_name="failed"), job=job, meanwhile=spoil)
    (run,) = client.search_runs(["0"], "attributes.run_name = 'failed'")
    assert run.info.status == "FAILED"
    assert run.data.tags["limitcycle/status"] == "failed KeyError: 'label'"
    loss = metrics(client, run.info.run_id)["limitcycle/loss"]
    assert len(loss) == 8 and loss[7] != loss[7] and loss[6] == loss[6]


def test_a_store_out_of_reach_is_left_out(client, capsys, monkeypatch):
    import mlflow

    with mlflow.start_run() as run:

        def gone(*args, **kwargs):
            raise mlflow.MlflowException("no connection")

        monkeypatch.setattr(mlflow.MlflowClient, "log_batch", gone)
        w = train(run)  # a run is a sink as it is
        monkeypatch.undo()
    assert len(w.steps) == 20
    assert capsys.readouterr().err.count("no connection) and is left out") == 1


def test_a_run_and_options_for_another_are_refused(client):
    with pytest.raises(UserError, match=r"run is what mlflow\.start_run returns, not str"):
        MLflow("abc")
    run = type("Run", (), {"info": sys.version})()
    with pytest.raises(UserError, match=r"run_name: for mlflow\.start_run, but a run is given"):
        MLflow(run, run_name="mine")
