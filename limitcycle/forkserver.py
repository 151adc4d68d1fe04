"""The process that imports torch once, and from which workers start.

Nothing heavy is imported here, so that it can start before torch is imported in this process, too:
then both import at the same time.
"""

import multiprocessing
import shutil
import signal
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.context import ForkServerContext

_TRAINING = "limitcycle.lab.parallel"


def start(*modules: str) -> ForkServerContext:
    """Start the fork server where it does not run yet; the context that uses it.

    It is deaf to Ctrl-C, which reaches it, too, while it imports.

    Args:
        modules: what it imports besides what training needs.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_TRAINING, *modules])
    resource_tracker.ensure_running()  # else started below, where it would lift the block again
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
    return context


def remove_socket() -> None:
    """Remove the server's socket, for a process that ends at once: nothing else would."""
    shutil.rmtree(util.get_temp_dir(), ignore_errors=True)
