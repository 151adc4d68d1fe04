"""Real nodes of a Ray cluster on this machine, each with a folder that goes when it goes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
SMALL = ("--num-cpus", "1", "--object-store-memory", "80000000")


class Node(NamedTuple):
    """A node: the process that started it leads a session that all of its processes belong to.

    ``client``: where the cluster is reached from outside.
    """

    process: subprocess.Popen
    folder: Path
    address: str
    client: str = ""

    @property
    def work(self) -> Path:
        """Where its tasks make their temporary folders."""
        return self.folder / "work"

    def kill(self) -> None:
        """All of it at once, as when its plug is pulled; its folder goes, too."""
        wait_until(lambda: not self._signal_all(signal.SIGKILL))
        self.process.wait()
        shutil.rmtree(self.folder)

    def stop(self) -> None:
        """As its owner does."""
        self.process.terminate()
        try:
            wait_until(lambda: not session_of(self.process.pid), seconds=30)
        finally:
            self.kill()

    def _signal_all(self, number: int) -> list[int]:
        self.process.poll()  # so that it does not stay as a zombie
        family = session_of(self.process.pid)
        for each in family:
            with suppress(ProcessLookupError):
                os.kill(each, number)
        return family


@contextmanager
def head() -> Iterator[Node]:
    """A cluster of one node; stopped afterwards, with nothing left of it."""
    port, client = free_port(), free_port()
    options = ("--head", "--port", str(port), "--ray-client-server-port", str(client))
    node = _start(f"127.0.0.1:{port}", *options, "--include-dashboard", "false")
    try:
        yield node._replace(client=f"ray://127.0.0.1:{client}")
    finally:
        node.stop()


@contextmanager
def beside(cluster: Node) -> Iterator[Node]:
    """Another node of the cluster, at an address of its own, as on a machine of its own."""
    node = _start(cluster.address, "--address", cluster.address, "--node-ip-address", "127.0.0.2")
    try:
        yield node
    finally:
        if node.folder.exists():
            node.kill()


def _start(address: str, *options: str) -> Node:
    folder = Path(tempfile.mkdtemp(prefix="lc-", dir="/tmp"))  # sockets need short paths
    (folder / "work").mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(folder / "work"),
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": str(START_SECONDS),  # 30 are few here
    }
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", "--block", "--temp-dir", str(folder / "ray"), *SMALL, *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    node = Node(process, folder, address)
    try:
        wait_until(lambda: "runtime started" in (folder / "log").read_text(), START_SECONDS)
    except BaseException:
        print((folder / "log").read_text())
        node.kill()
        raise
    return node


def session_of(leader: int) -> list[int]:
    """Processes of the session that ``leader`` led."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(leader)], capture_output=True, text=True
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "Z" not in line]


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
