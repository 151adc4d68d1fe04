"""What workers are asked in tests. They import this module, so a test can put it in their way."""

import os
import signal
import time
from pathlib import Path

from limitcycle.lab import parallel
from limitcycle.paper import parallel as drawing


def kill_myself():
    os.kill(os.getpid(), signal.SIGKILL)


def first_times(marker: Path, times: int) -> bool:
    """Whether this is one of the first ``times`` calls, in whichever process."""
    for at in range(times):
        try:
            marker.with_name(f"{marker.name}.{at}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return True
    return False


def work(line, folder, name, deaths=0):
    """Say that it begins and ends; be killed the first times."""
    folder = Path(folder)
    line.say(f"{name} begins")
    (folder / f"{name} at work").touch()
    if first_times(folder / name, deaths):
        kill_myself()
    beside = sorted(path.name for path in folder.glob("* at work"))
    time.sleep(0.05)
    (folder / f"{name} at work").unlink()
    return name, os.getpid(), beside


class TwoArguments(Exception):
    """Cannot be unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def fail(_line, kind):
    raise TwoArguments("one", "two") if kind == "odd" else ValueError(kind)


def wait_for_stop(line):
    line.say("waiting")
    while not line.told_to_stop():
        time.sleep(0.01)
    return "stopped"


def say_number_and_wait_for_stop(line):
    line.say(os.getpid())
    while not line.told_to_stop():
        time.sleep(0.01)
    return "stopped"


def never_ask(line):
    line.say(os.getpid())
    time.sleep(600)


def give_up(_line):
    raise SystemExit("no more")


def surroundings(_line):
    return str(Path.cwd()), os.environ.get("TOLD", "nothing")


def signals(_line):
    """Those that this process is deaf to."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


class Dying:
    """A line whose worker is killed as soon as a run has got on."""

    def __init__(self, line, marker, times):
        self._line, self._marker, self._times = line, marker, times
        self.told_to_stop = line.told_to_stop

    def say(self, what):
        self._line.say(what)
        if what[0] == "progress" and first_times(self._marker, self._times):
            kill_myself()


def train_and_be_killed(line, jobs, settings):
    """`parallel._work`, killed as often as DEATHS says of the first job's folder."""
    out = jobs[0].out
    deaths = dict(each.split(":") for each in os.environ["DEATHS"].split(","))
    marker = Path(os.environ["MARKERS"]) / out.name
    return _TRAIN(Dying(line, marker, int(deaths.get(out.name, 0))), jobs, settings)


def draw_and_be_killed(line, number, scale, out, seeds, folder):
    """`drawing._draw`, killed as often as DEATHS says of the figure."""
    deaths = dict(each.split(":") for each in os.environ["DEATHS"].split(","))
    if first_times(Path(os.environ["MARKERS"]) / str(number), int(deaths.get(str(number), 0))):
        kill_myself()
    return _DRAW(line, number, scale, out, seeds, folder)


def killed(*_):
    kill_myself()


_TRAIN, _DRAW = parallel._work, drawing._draw
