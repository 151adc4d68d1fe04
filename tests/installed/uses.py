"""What an installation is used for: ``python uses.py NAME FOLDER``. Says "used" at its end.

It runs where nothing but the package and the packages of one extra are installed.
"""

import contextlib
import io
import json
import os
import queue
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader

import limitcycle as lc
from limitcycle.cli.main import main
from limitcycle.cli.verbs import VERBS
from limitcycle.extras import MODULES

NET = """
import torch
from torch import nn
def made():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), torch.randn(16, 4)
"""
SMALL = ["--steps", "30", "--width", "16", "--train-size", "256", "--test-size", "64"]
SHORT = {"steps": 30, "width": 16, "train_size": 256, "test_size": 64}


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 3))


def batch():
    return torch.randn(16, 4), torch.randint(3, (16,))


def watched(sink, steps=40):
    """A training by hand under watch; what it says at its end."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    with contextlib.redirect_stderr(io.StringIO()) as said:
        with lc.watch(model, optimizer, sink=sink) as w:
            for _ in range(steps):
                x, y = batch()
                loss = nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                w.log(loss=loss)
        assert w.diagnosis().label and str(w.diagnosis())
    return said.getvalue()


def command(*arguments):
    """Exit code, and what was said on both channels."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def done(*arguments):
    code, out, err = command(*arguments)
    assert code == 0, err
    return out


def refused(extras, arguments):
    """It is one line that says what to install, and nothing is left behind."""
    before = sorted(Path.cwd().rglob("*"))
    code, out, err = command(*arguments)
    assert code == 2 and not out, (arguments, code, out, err)
    (line,) = err.splitlines()
    assert line.startswith("limitcycle: ") and f"pip install 'limitcycle[{extras}]'" in line, line
    assert sorted(Path.cwd().rglob("*")) == before


def base():
    """Everything that needs no extra; everything else says which it needs."""
    assert {"diagnose", "probe"} == {name for name, verb in VERBS.items() if not verb.extras}
    assert "usage" in done() and "limitcycle " in done("--version")
    for verb in VERBS:
        assert "usage" in done(verb, "--help")
    step = np.arange(500)
    table = pd.DataFrame({"step": step, "loss": 2.0 * 0.99**step, "norm": 5 * 0.999**step})
    table.to_csv("log.csv", index=False)
    table.to_parquet("log.parquet")
    assert lc.diagnose(table).label == "converging"
    for arguments in (["log.csv"], ["log.parquet"], ["log.csv", "--json"]):
        assert "converging" in done("diagnose", *arguments)
    assert "limitcycle: " in watched("mine")
    assert "mine: " in done("diagnose", "mine")
    assert len(lc.load("mine").steps) == 40
    Path("nets.py").write_text(NET)
    for form in ([], ["--json"]):
        assert "0.weight" in done("probe", "nets:made", *form)
    for hold in (lc.hold_norm, lambda *given: lc.hold_effective_lr(*given, 0.01)):
        model = net()
        hold(torch.optim.SGD(model.parameters(), lr=0.1), lc.symmetries(model, batch()[0]))
    needed = {"train": ["--out", "x"], "report": ["mine"], "live": ["mine"], "paper": ["2"]}
    for name, verb in VERBS.items():
        if verb.extras:
            refused(",".join(verb.extras), [name, *needed.get(name, [])])
    library_refuses()


def library_refuses():
    """What is called from Python and needs an extra says so, too."""
    from limitcycle.lab import Cluster, Job, sweep_on
    from limitcycle.report import save_pictures, write_report
    from limitcycle.report.live import serve
    from limitcycle.watching import MLflow, TensorBoard, WandB

    Path("tb").mkdir()
    Path("tb/events.out.tfevents.1.x").write_bytes(b"")
    refused("tensorboard", ["diagnose", "tb"])
    runs = [lc.load("mine")]
    assert "<svg" in runs[0]._repr_html_(), "a cell needs no extra"
    calls = {
        "lab": lambda: lc.train(lc.Run(**SHORT), "x"),
        "report": lambda: write_report(runs, "r.html"),
        "report ": lambda: save_pictures(runs, "r.png"),
        "live": lambda: serve("mine"),
        "report  ": lambda: lc.plot(runs),
        " report": lambda: lc.write_report(runs, "r.html"),
        "lightning": lambda: lc.LightningWatch("x"),
        "transformers": lambda: lc.TransformersWatch("x"),
        "tensorboard": lambda: TensorBoard("x"),
        "wandb": WandB,
        "mlflow": MLflow,
        "ray": lambda: sweep_on(Cluster("s"), [Job(lc.Run(**SHORT), Path("x"))]),
    }
    assert {each.strip() for each in calls} == set(MODULES)
    for extra, call in calls.items():
        try:
            call()
        except lc.UserError as problem:
            assert f"pip install 'limitcycle[{extra.strip()}]'" in str(problem), problem
        else:
            raise AssertionError(f"nobody missed {extra}")


def lab():
    assert "done" in command("train", *SMALL, "--out", "one")[2]
    done("train", *SMALL, "--lr", "0.1", "1", "--out", "grid")
    assert "lr=1: " in done("diagnose", "grid")
    import datasets

    assert datasets.Dataset.from_dict({"a": [1]}).num_rows == 1
    refused("report", ["report", "one"])


def report():
    watched("mine")
    done("report", "mine")
    assert Path("mine/report.html").stat().st_size > 1e6
    for name in ("a.png", "a.svg"):
        done("report", "mine", "--out", name)
        assert Path(name).exists()
    assert lc.plot("mine")._repr_png_()
    refused("lab", ["train", "--out", "x"])


def live():
    """The page is answered while a training goes on."""
    from limitcycle.report.live import serve

    Path("runs").mkdir()
    told = queue.Queue()
    threading.Thread(target=serve, args=("runs",), kwargs={"ready": told.put}, daemon=True).start()
    address = told.get(timeout=60)
    watched("runs/mine")
    for _ in range(60):
        with urllib.request.urlopen(address.replace("/?", "/state?")) as answer:
            runs = json.load(answer)["runs"]
        if runs:
            break
        time.sleep(0.5)
    assert runs["0"]["run"]["name"] == "mine"
    with urllib.request.urlopen(address) as answer:
        assert b"plotly" in answer.read()


def lightning():
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net()

        def training_step(self, both, _index):
            return nn.functional.cross_entropy(self.net(both[0]), both[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1, weight_decay=0.01)

    data = DataLoader([(x, y) for _ in range(5) for x, y in zip(*batch(), strict=True)], 16)
    watch = lc.LightningWatch("mine", quiet=True)
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    pl.Trainer(max_epochs=2, accelerator="cpu", callbacks=[watch], **silent).fit(Module(), data)
    assert len(lc.load("mine").steps) == 10


def transformers():
    import transformers as hf

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x, labels=None):
            logits = self.net(x)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    data = [{"x": x, "labels": y} for _ in range(5) for x, y in zip(*batch(), strict=True)]
    given = hf.TrainingArguments(
        output_dir="out", max_steps=6, save_strategy="no", report_to="none", use_cpu=True
    )
    watch = lc.TransformersWatch("mine", quiet=True)
    hf.Trainer(Net(), given, train_dataset=data, callbacks=[watch]).train()
    assert len(lc.load("mine").steps) == 6


def tensorboard():
    from limitcycle.watching import TensorBoard

    watched(TensorBoard("tb"))
    assert "tb: " in done("diagnose", "tb")


def wandb():
    from limitcycle.watching import WandB

    watched(WandB(mode="offline", project="mine"))
    assert list(Path("wandb").glob("offline-run-*/run-*.wandb"))


def mlflow():
    import mlflow

    from limitcycle.watching import MLflow

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    watched(MLflow(run_name="mine"))
    (run,) = mlflow.search_runs(output_format="list")
    assert any(name.startswith("limitcycle") for name in run.data.metrics)


def ray():
    import ray

    from limitcycle.lab import Cluster, Job, sweep_on

    ray.init(num_cpus=1, object_store_memory=80_000_000, include_dashboard=False)
    job = Job(lc.Run(**SHORT), Path("run").absolute())
    (outcome,) = sweep_on(Cluster(str(Path("storage").absolute())), [job])
    assert outcome.state == "done", outcome
    assert len(lc.load("run").steps) == 30
    ray.shutdown()


if __name__ == "__main__":
    name, folder = sys.argv[1:]
    os.chdir(folder)
    globals()[name]()
    print("used")
