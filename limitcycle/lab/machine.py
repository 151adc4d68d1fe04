"""What the lab does to the machine it runs on: threads, and in its own processes the allocator.

On a CPU a ConvNet's step is limited by page faults: glibc hands large activations back to the
kernel after every step and faults them in again. Raising two thresholds keeps them; the bits are
the same.
A user's process is left alone: only the command line and the lab's workers call `own_process`.
"""

import contextlib
import ctypes
import functools
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from limitcycle._version import __version__
from limitcycle.checks import shown, whole
from limitcycle.errors import UserError, did_you_mean

Precision = Literal["highest", "tf32", "bf16"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEEP_BYTES = 1 << 30
# What allocators of torch, the system, CUDA, its libraries and oneDNN say in a RuntimeError.
_NO_MEMORY = re.compile(
    "(can't|cannot|unable to) allocate|(not enough|out of) memory|create a memory"
    "|alloc_failed|allocation_failed",
    re.IGNORECASE,
)
MOST_THREADS = 1_024


def own_process() -> None:
    """Make glibc keep freed memory up to 1 GiB a block; without glibc nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)


def out_of_memory(problem: BaseException) -> bool:
    """Whether ``problem`` says that there is no memory left: Python, NumPy or torch can say it."""
    if isinstance(problem, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(problem, RuntimeError) and bool(_NO_MEMORY.search(str(problem)))


def memory_bytes(device: torch.device) -> int | None:
    """The memory of ``device``, whoever uses it now; None where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[int]:
    """Use ``count`` threads inside (None: leave as is), the former number again afterwards."""
    check_threads(count)
    former = torch.get_num_threads()
    torch.set_num_threads(count or former)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(former)


def check_threads(count: int | None) -> None:
    """Refuse a number of threads that no machine has."""
    if count is not None:
        whole("threads", count, most=MOST_THREADS)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse a precision that the device does not have.

    Raises:
        UserError: it names what there is.
    """
    if precision not in get_args(Precision):
        choices = get_args(Precision)
        meant = did_you_mean(precision, choices)
        raise UserError(
            f"precision must be one of {', '.join(choices)}, not {shown(precision)}{meant}"
        )
    if precision == "tf32" and device.type != "cuda":
        raise UserError(f"precision tf32 needs a CUDA device, not {device}")


@contextlib.contextmanager
def products(precision: Precision, device: torch.device) -> Iterator[None]:
    """Inside, ``device`` multiplies float32 as asked: CUDA's convolutions would take TF32."""
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    backends = backends if device.type == "cuda" else ()
    former = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        yield
    finally:
        for backend, was in zip(backends, former, strict=True):
            backend.fp32_precision = was


def current(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Inside, ``device`` is CUDA's current one: what is launched on another no graph captures."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def describe(
    device: torch.device, thread_count: int, precision: Precision = "highest"
) -> dict[str, Any]:
    """Where and how a run is computed: what ``run.json`` says besides the description."""
    said = {} if precision == "highest" else {"precision": precision}
    return {
        **said,
        "limitcycle": __version__,
        "torch": torch.__version__,
        "device": device_name(device),
        "threads": thread_count,
        "memory_format": "channels_last",
        "python": platform.python_version(),
        "git": git_state(),
    }


def device_name(device: torch.device) -> str:
    """The device in words: the GPU's name, or the CPU's architecture."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()})"


@functools.cache  # the state of the code that was loaded
def git_state() -> str | None:
    """The commit of the package's checkout, with a mark if it was changed; None elsewhere."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        here = Path(__file__).parents[2]
        if (here / ".git").exists():
            answer = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=5)
            return answer.stdout.strip() or None
    return None
