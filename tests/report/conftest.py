"""Made-up runs: a relaxation oscillator in a few lines, and what the report expects of a run."""

import math
import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from limitcycle.lab.cells import blank_row
from limitcycle.record import Run

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1300,1000",
)
STEPS_PER_EPOCH = 10


def sawtooth_table(rows=3_000, period=600, lr=0.3, weight_decay=0.005, seed=0):
    """A step table whose norm decays by 1 − ηλ a step and is thrown back once a period.

    The loss falls from its peak to 1e-3, leaves it 4 steps before the next peak; peaks lie at
    multiples of ``period`` (the first descent, at step 0, is no event).
    """
    rng = np.random.default_rng(seed)
    step = np.arange(rows)
    since, until = step % period, period - step % period
    rise = np.where(
        (until <= 4) & (step // period < (rows - 1) // period),
        10.0 ** (-3 + 3 * (4 - until) / 4),
        0,
    )
    loss = (1e-3 + 3 * np.exp(-since / 3) + rise) * np.exp(0.1 * rng.standard_normal(rows))
    fall = np.exp(-lr * weight_decay * since)
    norm = 6 * fall * (1 - (1 - np.exp(-lr * weight_decay * period)) * np.exp(-since / 4.0))
    effective_grad_norm = 10 * np.sqrt(loss)
    return pd.DataFrame(
        {
            "step": step,
            "epoch": step // STEPS_PER_EPOCH,
            "loss": loss,
            "norm": norm,
            "grad_norm": effective_grad_norm / norm,
            "radial": 0.0,
            "lr": lr,
            "weight_decay": weight_decay,
            "effective_lr": lr / norm**2,
            "effective_grad_norm": effective_grad_norm,
            "cosine_distance": (lr * effective_grad_norm / norm**2) ** 2 / 2,
        }
    )


def epoch_table(steps, measured=True):
    """The epoch table of a step table; the test error is NaN where not ``measured``."""
    each = steps.iloc[::STEPS_PER_EPOCH].reset_index(drop=True)
    error = 0.02 + 0.3 * np.minimum(each["loss"], 1.0)
    return pd.DataFrame(
        {
            "epoch": each["step"] / STEPS_PER_EPOCH,
            "step": each["step"],
            "train_loss": np.nan,
            "test_error": error if measured else np.nan,
            "norm": each["norm"],
        }
    )


@dataclass(frozen=True)
class Double:
    """What `limitcycle.load` returns, without a folder."""

    name: str
    run: Run | None
    steps: pd.DataFrame
    epochs: pd.DataFrame
    status: dict = field(default_factory=lambda: {"state": "done", "reason": "", "step": 0})
    info: dict = field(default_factory=lambda: {"versions": {"torch": "2"}, "device": "cpu"})

    @property
    def path(self):
        return Path("runs") / self.name


def sawtooth_run(name="run", *, measured=True, run=True, **table):
    steps = sawtooth_table(**table)
    lr, weight_decay = table.get("lr", 0.3), table.get("weight_decay", 0.005)
    described = Run(lr=lr, weight_decay=weight_decay, steps=max(len(steps), 1)) if run else None
    return Double(name, described, steps, epoch_table(steps, measured))


@pytest.fixture(scope="session")
def sawtooth():
    """Makes a periodic run: ``sawtooth(name, rows=…, period=…, lr=…, weight_decay=…, seed=…)``."""
    return sawtooth_run


def with_groups(run, names=("conv1.weight", "conv2.weight (+1)", "conv3.weight")):
    """``run`` as if it had been watched: its groups turn one slower than the other."""
    steps, parts = run.steps, []
    for at, name in enumerate(names):
        columns = {"step": steps["step"], "group": name, "norm": steps["norm"] / (at + 1)}
        columns["effective_lr"] = steps["effective_lr"] * (at + 1) ** 2
        columns["rotation"] = 1e-3 * (at + 1)
        parts.append(pd.DataFrame(columns))
    table = pd.concat(parts).sort_values("step", kind="stable", ignore_index=True)
    return Watched(**{each.name: getattr(run, each.name) for each in fields(run)}, groups=table)


@dataclass(frozen=True)
class Watched(Double):
    """A loaded run with a group table."""

    groups: pd.DataFrame = field(default_factory=pd.DataFrame)


@pytest.fixture(scope="session")
def grouped():
    """Makes a run one with groups: ``grouped(run, names=…)``."""
    return with_groups


@pytest.fixture
def double():
    """Makes a run of given tables: ``double(name, run, steps, epochs, status, info)``."""
    return Double


def table_of(plane, made=lambda _cell: True):
    """A table as a map leaves it, in which the product ηλ decides what a run does."""
    rows = []
    for cell in plane.cells:
        row = blank_row(plane, cell)
        if cell.run is None:
            row |= {"state": "refused", "region": "refused", "reason": cell.problem}
        elif made(cell):
            row |= judged(row["product"])
        else:
            row |= {"state": "waiting"}
        rows.append(row)
    return pd.DataFrame(rows)


def judged(product):
    word = "periodic" if 5e-4 < product < 5e-2 else "stuck"
    word = "not in the budget" if product <= 5e-4 else word
    return {
        "state": "done",
        "verdict": "converging" if word == "not in the budget" else word,
        "region": word,
        "period_units": 0.5 + 10 * product if word == "periodic" else math.nan,
        "best_test_error": 0.003 + product**0.8,
    }


@pytest.fixture(scope="session")
def mapped():
    """Makes the table of a plane's map: ``mapped(plane, made=cell → whether it is)``."""
    return table_of


def started_browser(profile):
    """A browser without a window, which keeps what pages log; ``profile``: a folder of its own."""
    options = ChromeOptions()
    options.binary_location = BROWSER
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options=options, service=Service(DRIVER))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = started_browser(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()
