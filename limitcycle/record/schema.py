"""The tables: their columns, types and units.

Values are float32, the norm float64 and the step int64. A run computed in float64 keeps its values
in float64: the exact recursion of the norm (Eq. 3) can then be checked on the record itself.
"""

import hashlib
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

FORMAT_VERSION = 1
COLUMNS_DIGEST = b"columns"
"""Where a table's metadata hold the digest of its columns."""

STEP_COLUMNS: Mapping[str, str] = {
    "step": "index; row t describes x_t, before update t",
    "epoch": "index of the epoch that the step belongs to, from 0",
    "loss": "nats, of this step's batch",
    "norm": "joint norm of the scale-invariant weights",
    "grad_norm": "norm of the loss gradient with respect to these weights",
    "radial": "inner product of these weights and their gradient",
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "effective_lr": "lr / norm²",
    "effective_grad_norm": "norm · grad_norm",
    "cosine_distance": "1 − cos(x_t, x_{t+1})",
}

EPOCH_COLUMNS: Mapping[str, str] = {
    "epoch": "epochs completed; 0 = initialisation",
    "step": "updates completed",
    "train_loss": "nats",
    "train_error": "fraction",
    "test_loss": "nats",
    "test_error": "fraction",
    "confidence": "mean largest softmax on the training set",
    "norm": "joint norm of the scale-invariant weights",
    "effective_lr": "lr / norm²",
    "effective_grad_norm": "mean of norm · grad_norm over mini-batches",
}

# What watching adds: to the step table, and to a table with one row a step and group.
WATCHED_COLUMNS: Mapping[str, str] = {
    "momentum": "heavy-ball momentum",
    "radial_share": "|radial| / (norm · grad_norm)",
    "relative_update": "‖x_{t+1} − x_t‖ / ‖x_t‖",
    "rotation": "radians, angle between x_t and x_{t+1}",
    "equilibrium_norm": "norm at which theory lets it rest",
    "equilibrium_rotation": "radians a step at which theory lets the norm rest",
    "second_moment_lag": "grad_norm² / sum of Adam's corrected second moment after the step",
}
GROUP_COLUMNS: Mapping[str, str] = {
    "step": STEP_COLUMNS["step"],
    "group": "a scale-invariant group, or other",
    **{
        name: unit.replace("the scale-invariant", "the group's").replace("these", "its")
        for name, unit in STEP_COLUMNS.items()
        if name not in ("step", "epoch", "loss")
    },
    **WATCHED_COLUMNS,
}

UNITS: Mapping[str, Mapping[str, str]] = {
    "steps": {**STEP_COLUMNS, **WATCHED_COLUMNS},
    "epochs": EPOCH_COLUMNS,
    "groups": GROUP_COLUMNS,
}


def to_arrow(frame: pd.DataFrame, table: str, *, double: bool = False) -> pa.Table:
    """``frame`` as an Arrow table with the types and units of ``table`` (a key of `UNITS`).

    Columns that the table does not define are kept as they are.
    """
    units = UNITS[table]
    fields = [
        pa.field(
            name,
            _arrow_type(name, frame[name], double) if name in units else _own_type(frame[name]),
            metadata={"unit": units.get(name, "")},
        )
        for name in map(str, frame.columns)
    ]
    metadata: dict[str | bytes, str | bytes] = {
        "format_version": str(FORMAT_VERSION),
        "table": table,
        COLUMNS_DIGEST: columns_digest(pa.schema(fields)),
    }
    schema = pa.schema(fields, metadata=metadata)
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False, safe=False)


def columns_digest(schema: pa.Schema) -> bytes:
    """A digest of names and types: a flipped bit in a Parquet footer changes one unnoticed."""
    text = "\n".join(f"{field.name} {field.type}" for field in schema)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest().encode()


def empty(table: str) -> pd.DataFrame:
    """A table without rows: what a run that has just begun shows."""
    columns = {"steps": STEP_COLUMNS}.get(table, UNITS[table])
    frame = pd.DataFrame({name: pd.Series(dtype="float64") for name in columns})
    frame = to_arrow(frame, table).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    return frame


def _arrow_type(name: str, _: "pd.Series[float]", double: bool) -> pa.DataType:
    if name == "step":
        return pa.int64()
    if name == "group":
        return pa.string()
    return pa.float64() if name == "norm" or double else pa.float32()


def _own_type(column: "pd.Series[float]") -> pa.DataType:
    return pa.Array.from_pandas(column.head(1)).type
