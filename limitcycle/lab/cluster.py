"""The same sweep on many machines: every run a task of a Ray cluster.

A task works in a temporary folder of its node and copies that to one storage location after every
checkpoint. When a node is lost, its runs are given out again and go on from there; what has ended
is brought into the runs' folders here.
"""

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from limitcycle.errors import UserError
from limitcycle.extras import from_extra
from limitcycle.lab.dispatch import Dispatch, bring_finished, is_done
from limitcycle.lab.parallel import Job, Outcome
from limitcycle.lab.training import Progress
from limitcycle.record.files import disk_errors
from limitcycle.record.folder import check_folder
from limitcycle.record.storage import Place

_ANSWER_SECONDS = 5.0
_CLIENT_TRIES = 3  # a head gives the server of a client 30 s to start, too few for a busy one


class Cluster(NamedTuple):
    """A Ray cluster, and where its nodes leave what they have.

    Attributes:
        storage: a folder that all nodes share, or a URI that pyarrow knows (s3://, gs://, hdfs://).
        address: as Ray writes it; ``auto``: the cluster that this machine belongs to.
    """

    storage: str
    address: str = "auto"


def sweep_on(
    cluster: Cluster,
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    threads: int | None = None,
    settings: Mapping[str, Any] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, Progress], None] = lambda _i, _p: None,
    notice: Callable[[int, str], None] = lambda _i, _n: None,
) -> list[Outcome]:
    """Train all ``jobs`` on a cluster, as `limitcycle.lab.sweep` does on this machine.

    Args:
        cluster: where; a run's copy lies in its storage under the run's identity.
        jobs: runs and their folders on this machine; each goes on from what its folder or its copy
            holds, whichever is further.
        workers: runs at once; None: as many as the cluster takes.
        threads: CPU threads a run, and CPUs that it asks Ray for; None: one. On CUDA a run asks for
            a GPU besides.
        settings, should_stop, progress, notice: see `limitcycle.lab.sweep`.

    Returns:
        An outcome a job, in their order. A job that fails does not stop the others.

    Raises:
        UserError: Ray is not installed or cannot be reached, the storage cannot be written, or a
            folder holds another run.
    """
    storage = Place.of(_absolute(cluster.storage))
    storage.check_writable()
    for job in jobs:
        check_folder(job.out, job.run)
        with disk_errors(job.out):
            job.out.mkdir(parents=True, exist_ok=True)
        bring_finished(storage, job)
    if all(is_done(job) for job in jobs):
        return [Outcome("done")] * len(jobs)
    ray = _ray()
    with _connected(ray, cluster.address):
        told: dict[str, Callable[[int, Any], None]] = {"progress": progress, "notice": notice}
        given = {**(settings or {}), "threads": threads or 1}
        return Dispatch(ray, storage, jobs, given, told).go(workers or len(jobs), should_stop)


def _ray() -> Any:
    with from_extra("ray", "a cluster needs Ray"):
        return import_module("ray")


def _absolute(storage: str) -> str:
    if not storage.strip():
        raise UserError("the storage is empty: give a folder that all machines share, or a URI")
    return storage if "://" in storage else str(Path(storage).absolute())


@contextlib.contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """Inside, this process drives the cluster; a connection that it had before is kept."""
    if ray.is_initialized():
        yield
        return
    with _signals_kept():
        try:
            _knock(address)
            _connect(ray, address, _CLIENT_TRIES if address.startswith("ray://") else 1)
        except Exception as problem:  # of many kinds: no cluster, no answer, other versions
            raise UserError(
                f"no Ray cluster at {address} ({_reason(problem)}): start one with ray start "
                "--head, or give --address"
            ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, tries: int) -> None:
    for left in reversed(range(tries)):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
        except ConnectionAbortedError:
            if not left:
                raise
        else:
            return


def _reason(problem: Exception) -> str:
    """What Ray complains of, in a line; where that is the head's traceback, what it ends with."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    if not lines:
        return type(problem).__name__
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]


def _knock(address: str) -> None:
    """Raise an OSError where nobody answers: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Whoever listens to SIGTERM before listens afterwards, too: Ray sets a handler of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
