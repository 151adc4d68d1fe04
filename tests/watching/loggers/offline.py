"""What W&B wrote offline, read from its file: LevelDB's log format, each record a protobuf."""

import json
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

HEADER, BLOCK = 7, 32768
WHOLE, LAST = 1, 4


class Offline(NamedTuple):
    """Rows of the history with ``_step``, config, summary, metric → step metric, exit code."""

    rows: list[dict[str, Any]]
    config: dict[str, Any]
    summary: dict[str, Any]
    axes: dict[str, str]
    exit_code: int


def read(folder) -> Offline:
    """The one run logged below ``folder``, once it has been finished."""
    (path,) = Path(folder).glob("wandb/offline-run-*/run-*.wandb")
    until = time.monotonic() + 30
    while not (records := list(_records(path.read_bytes()))) or not _of(records, "exit"):
        assert time.monotonic() < until, "the run has no end"
        time.sleep(0.05)
    rows = [{**_values(h.item), "_step": h.step.num} for h in _of(records, "history")]
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for kind, found in (("config", config), ("summary", summary)):
        for record in _of(records, kind):
            found.update(_values(record.update))
    axes = {m.name or m.glob_name: m.step_metric for m in _of(records, "metric")}
    return Offline(rows, config, summary, axes, _of(records, "exit")[0].exit_code)


def _records(content: bytes):
    from wandb.proto.wandb_internal_pb2 import Record

    at, whole = HEADER, b""
    while at + HEADER <= len(content):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", content, at)
        whole += content[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in (WHOLE, LAST):
            yield Record.FromString(whole)
            whole = b""


def _of(records, kind: str) -> list[Any]:
    return [getattr(r, kind) for r in records if r.WhichOneof("record_type") == kind]


def _values(items) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
