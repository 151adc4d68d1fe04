"""How processes that watch talk: on connections of their own, and never without a time limit.

The training's groups are not used, and torch counts no group more than without a watch: were one
process not to watch, its later groups would have other names than everybody else's.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

CHUNK = 2**20  # bytes of a deposit in one entry of the store
LOOK_EVERY = 0.02  # seconds between two looks for a deposit
_numbers = count()


class WireError(Exception):
    """The processes cannot talk any more, in words."""


class Wire:
    """Connections between several processes of a job, on the host.

    Making one takes part of all of them, at the same step.

    Args:
        seconds: how long processes wait for one another.
        store: where they find each other.
        rank, size: this process among them, and their number.

    Raises:
        WireError: not everybody has come.
    """

    def __init__(self, seconds: float, store: Any, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._seconds, self._store = seconds, store
        self._group: Any = None
        try:
            self._group = dist.ProcessGroupGloo(store, rank, size, timedelta(seconds=seconds))
        except Exception as problem:
            raise WireError(
                f"not every process began to watch within {seconds:g} s: sharded weights are "
                "watched by all processes, so call lc.watch on each"
            ) from problem

    @classmethod
    def between_all(cls, seconds: float) -> Self:
        """Between all processes of the job."""
        # Here, because a torch that was built without these can do everything else.
        from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

        store = _get_default_store()
        apart = PrefixStore(f"limitcycle/{next(_numbers)}", store)
        return cls(seconds, apart, dist.get_rank(), dist.get_world_size())

    def among(self, ranks: Sequence[int]) -> "Wire":
        """Another one between some of the processes, this one among them."""
        from torch.distributed.distributed_c10d import PrefixStore

        store = PrefixStore("-".join(map(str, ranks)), self._store)
        return Wire(self._seconds, store, list(ranks).index(self.rank), len(ranks))

    def sum(self, values: Tensor) -> Tensor:
        """``values`` (any shape, on the host) summed over all processes, in place.

        Raises:
            WireError: a process has left, or did not come in time.
        """
        self._done(lambda group: group.allreduce([values]))
        return values

    def exchange(self, told: Any) -> list[Any]:
        """What every process tells, by rank; JSON values.

        Raises:
            WireError: a process has left, or did not come in time.
        """
        mine = torch.frombuffer(bytearray(json.dumps(told).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        self._done(lambda group: group.allgather([lengths], [torch.tensor([len(mine)])]))
        longest = max(int(length) for length in lengths)
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(mine)] = mine
        rooms = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
        self._done(lambda group: group.allgather([rooms], [padded]))
        pairs = zip(rooms, lengths, strict=True)
        return [json.loads(bytes(room[: int(length)].numpy())) for room, length in pairs]

    def deposit(self, content: bytes) -> None:
        """Leave something for the first process, which need not be there; and go."""
        chunks = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)]
        with contextlib.suppress(Exception):  # the first process has gone, and its store with it
            for number, chunk in enumerate(chunks):
                self._store.set(f"left/{self.rank}/{number}", chunk)
            self._store.set(f"left/{self.rank}", str(len(chunks)))

    def collect(self, seconds: float) -> list[bytes | None]:
        """What the other processes left, by rank from 1 on; None of those that left nothing.

        Args:
            seconds: how long they are waited for.
        """
        end = time.monotonic() + seconds
        found: list[bytes | None] = [None] * (self.size - 1)
        missing = set(range(1, self.size))
        while missing:
            for rank in sorted(missing):
                if self._has_left(rank):
                    found[rank - 1] = self._taken(rank)
                    missing.discard(rank)
            if time.monotonic() > end:
                break
            time.sleep(LOOK_EVERY)
        return found

    def close(self) -> None:
        """Let go of the connections: who still waits for this process is told so at once."""
        group, self._group = self._group, None
        if group is not None:
            with contextlib.suppress(Exception):
                group.abort()

    def _has_left(self, rank: int) -> bool:
        with contextlib.suppress(Exception):
            return bool(self._store.check([f"left/{rank}"]))
        return False

    def _taken(self, rank: int) -> bytes | None:
        with contextlib.suppress(Exception):
            chunks = int(self._store.get(f"left/{rank}"))
            return b"".join(self._store.get(f"left/{rank}/{n}") for n in range(chunks))
        return None

    def _done(self, begin: Any) -> None:
        if self._group is None:
            raise WireError("the processes that watch have parted")
        try:
            begin(self._group).wait()
        except Exception as problem:
            self.close()
            raise WireError(
                "a process that watches has left, or did not come to the same row within "
                f"{self._seconds:g} s"
            ) from problem
