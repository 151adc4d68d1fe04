"""One periodic run, and the files in which loggers of other people would have left it."""

import dataclasses

import numpy as np
import pandas as pd

from tests.reading.series import CLEAN

ROWS, _ = dataclasses.replace(CLEAN, periods=3, period=300).run()
ROWS["loss"] = ROWS["loss"].astype(np.float64)
"""Columns step, loss, norm: what was logged."""


def write_history(path, frame=ROWS, loss="train/loss", norm="weight_norm", **more):
    """``run.history().to_csv(path)`` of a loop that logs loss and norm by calls of their own."""
    calls = pd.DataFrame({"_step": np.arange(2 * len(frame)), "_runtime": 1.5, "_timestamp": 1.7e9})
    calls[loss], calls[norm] = np.nan, np.nan
    calls.loc[0::2, loss] = frame["loss"].to_numpy()
    calls.loc[1::2, norm] = frame["norm"].to_numpy()
    for name, values in more.items():
        calls[name] = values
    calls.to_csv(path)
    return path


def write_chart(path, metric, axis="Step", spread=0.0, **runs):
    """The export of a chart: a column triple a run; ``runs``: name → values by step."""
    table = pd.DataFrame(index=pd.Index(sorted(set().union(*(r.index for r in runs.values())))))
    for run, values in runs.items():
        table[f"{run} - {metric}"] = values
        table[f"{run} - {metric}__MIN"] = values * (1 - spread)
        table[f"{run} - {metric}__MAX"] = values * (1 + spread)
    table.rename_axis(axis).to_csv(path, quoting=1)
    return path


def write_events(folder, frame=ROWS, loss="train/loss", norm="weight_norm", **options):
    """Real event files, by PyTorch's own writer; the norm in TensorFlow 2's style of scalars."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), **options) as writer:
        for step, value, length in frame[["step", "loss", "norm"]].itertuples(index=False):
            writer.add_scalar(loss, value, step)
            if norm:
                writer.add_scalar(norm, length, step, new_style=True)
    return folder


def write_mlruns(folder, rows=None, name="mine"):
    """MLflow's store of files, with one run in one experiment."""
    rows = ROWS.itertuples(index=False) if rows is None else rows
    run = folder / "0" / f"id_{name}"
    (run / "metrics" / "train").mkdir(parents=True)
    (run / "meta.yaml").write_text(f"run_id: id_{name}\nrun_name: {name}\nstatus: 1\n")
    (folder / "0" / "meta.yaml").write_text("name: Default\n")
    lines = {"train/loss": "", "weight_norm": ""}
    for step, loss, norm in rows:
        lines["train/loss"] += f"1795834484300 {float(loss)!r} {int(step)}\n"
        lines["weight_norm"] += f"1795834484300 {float(norm)!r} {int(step)}\n"
    for key, text in lines.items():
        (run / "metrics" / key).write_text(text)
    return folder
