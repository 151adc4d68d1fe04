"""Everything but the lab's workers works where the modules of POSIX are missing, as on Windows."""

import subprocess
import sys

import pytest

WITHOUT_POSIX = """
import importlib.abc, os, signal, sys

ABSENT = ("crypt", "curses", "_curses", "fcntl", "grp", "nis", "pty", "pwd", "readline", "resource",
          "spwd", "syslog", "termios", "tty")

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
for name in ABSENT:
    sys.modules.pop(name, None)
for name in ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2",
             "SIG_BLOCK", "SIG_SETMASK", "SIG_UNBLOCK", "pthread_sigmask"):
    delattr(signal, name)
for name in ("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "fork", "forkpty", "geteuid",
             "getuid", "killpg", "mkfifo", "sched_getaffinity", "setsid"):
    delattr(os, name)

open_file = os.open
def open_no_folder(path, *arguments, **options):
    if not isinstance(path, int) and os.path.isdir(path):
        raise PermissionError(13, "Permission denied")
    return open_file(path, *arguments, **options)
os.open = open_no_folder

import warnings
warnings.filterwarnings("ignore", message="only soft file lock")  # neither flock nor Windows here
"""

RECORDS = """
import numpy as np, pandas as pd
import limitcycle as lc
from limitcycle.cli.main import main
from limitcycle.record import EPOCH_COLUMNS, STEP_COLUMNS, RunFolder

step = np.arange(100)
frame = pd.DataFrame(dict.fromkeys(STEP_COLUMNS, step + 1.0) | {"step": step})
assert lc.diagnose(frame).label
with RunFolder(lc.record.folder.Path(sys.argv[1]), lc.Run(), {}) as folder:
    folder.save(100, frame, pd.DataFrame(dict.fromkeys(EPOCH_COLUMNS, [1.0])), {"a": np.ones(3)})
    folder.set_status("done", 100)
assert len(lc.load(sys.argv[1]).steps) == 100
assert main(["diagnose", sys.argv[1]]) == 0
"""

TRAINING = """
import torch
import limitcycle as lc
import limitcycle.lab, limitcycle.paper, limitcycle.lab.rehearsal
from limitcycle.cli.main import main

out = sys.argv[1]
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
for part in range(2):  # the second goes on
    with lc.watch(model, optimizer, sink=out + "/watched", quiet=True) as w:
        for _ in range(20):
            optimizer.zero_grad()
            loss = model(torch.randn(16, 4)).square().mean()
            loss.backward()
            optimizer.step()
            w.log(loss=loss)
assert len(lc.load(out + "/watched").steps) == 40
lc.LightningWatch, lc.TransformersWatch, lc.hold_norm(optimizer, w.symmetries)

command = ["train", "--steps", "30", "--width", "8", "--threads", "1", "--out", out + "/run"]
assert main([*command, "--stop-after", "0.001"]) == 0
assert main(command) == 0
assert lc.load(out + "/run").status["state"] == "done"
assert main(["report", out]) == 0 and main(["diagnose", out]) == 0
"""


def run_without_posix(code, *arguments):
    command = [sys.executable, "-c", WITHOUT_POSIX + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_records_and_diagnosis_without_the_modules_of_posix(tmp_path):
    run_without_posix(RECORDS, tmp_path / "run")


@pytest.mark.slow
def test_watching_and_one_run_of_the_lab_without_the_modules_of_posix(tmp_path):
    run_without_posix(TRAINING, tmp_path)
