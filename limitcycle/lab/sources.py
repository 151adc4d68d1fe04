"""Where images come from: scikit-learn's digits, or CIFAR through Hugging Face ``datasets``.

CIFAR is decoded once into a cache of plain arrays; later runs, and machines without ``datasets``,
read that. The folder is found through one setting, ``LIMITCYCLE_DATA``.
"""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from limitcycle.errors import UserError
from limitcycle.extras import from_extra
from limitcycle.lab.cache import cached
from limitcycle.record.checkpoints import read_checkpoint, write_checkpoint

DIGITS_TRAIN = 1_408  # eleven batches of 128: a ragged last batch would set off jumps of its own
_DIGITS_TEST = 389


class Facts(NamedTuple):
    """What is known of a data set before it is read: images to train and test, what they are."""

    train: int
    test: int
    channels: int
    side: int
    classes: int


_PARTS = ("train_images", "train_labels", "test_images", "test_labels")
_CACHED = "step-000000000000.safetensors"  # decoded images are kept as a checkpoint


class Images(NamedTuple):
    """A data set in memory: images (N, C, H, W) uint8, labels (N,) int64; ``white`` is 1.0."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: int
    white: float
    remark: str = ""


class _Cifar(NamedTuple):
    hub: str
    label: str
    classes: int
    train: int = 50_000
    test: int = 10_000


_CIFAR: Mapping[str, _Cifar] = {
    "cifar10": _Cifar("uoft-cs/cifar10", "label", 10),
    "cifar100": _Cifar("uoft-cs/cifar100", "fine_label", 100),
}


def facts(name: str) -> Facts:
    """What the data set ``name`` is where it is whole."""
    if name == "digits":
        return Facts(DIGITS_TRAIN, _DIGITS_TEST, channels=1, side=8, classes=10)
    kind = _CIFAR[name]
    return Facts(kind.train, kind.test, channels=3, side=32, classes=kind.classes)


def load_images(name: str) -> Images:
    """The data set ``name``: ``digits``, ``cifar10`` or ``cifar100``.

    Raises:
        UserError: it cannot be found or read.
    """
    return _digits() if name == "digits" else _cifar(name)


def _digits() -> Images:
    """Handwritten digits, 8×8: 1,408 to train, 389 to test, split once and for all."""
    with from_extra("lab", "digits need scikit-learn"):
        from sklearn.datasets import load_digits
    pixels, labels = load_digits(return_X_y=True)
    mixed = np.random.default_rng(0).permutation(len(labels))
    images = pixels.reshape(-1, 1, 8, 8).astype(np.uint8)[mixed]
    labels = labels.astype(np.int64)[mixed]
    n = DIGITS_TRAIN
    return Images(images[:n], labels[:n], images[n:], labels[n:], classes=10, white=16.0)


def _cifar(name: str) -> Images:
    source = _find(name)
    with _readable(source):
        stored = f"data/{name}-{_fingerprint(source)}/{_CACHED}"
    arrays = cached(
        stored,
        make=lambda: _decode(name, source),
        read=_read_cache,
        write=lambda path, arrays: write_checkpoint(path.parent, 1, arrays),
    )
    return Images(
        **{part: arrays[part] for part in _PARTS},
        classes=_CIFAR[name].classes,
        white=255.0,
        remark=_remark(name, arrays),
    )


def _find(name: str) -> str:
    """A local folder where ``LIMITCYCLE_DATA`` is set, else the name on the hub."""
    root = os.environ.get("LIMITCYCLE_DATA")
    if not root:
        return _CIFAR[name].hub
    folder = Path(root) / name
    if not folder.is_dir():
        raise UserError(
            f"LIMITCYCLE_DATA is {root}, which has no folder {name}/: put the data there, or unset "
            f"it to download {_CIFAR[name].hub}"
        )
    return str(folder.resolve())


def _fingerprint(source: str) -> str:
    """Of a folder: its files' names, sizes and times, so that changed data are decoded again."""
    lines = [source]
    if Path(source).is_dir():
        for path in sorted(Path(source).rglob("*")):
            stat = path.stat()
            lines.append(f"{path.name} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _read_cache(path: Path) -> dict[str, NDArray[Any]]:
    arrays = read_checkpoint(path).arrays
    return {part: arrays[part] for part in _PARTS}


def _decode(name: str, source: str) -> dict[str, NDArray[Any]]:
    with from_extra("lab", f"{name} needs datasets"):
        import datasets
    datasets.disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries are not our words
    datasets.logging.set_verbosity(logging.CRITICAL)  # what it raises is said in one line, below
    arrays: dict[str, NDArray[Any]] = {}
    for split in ("train", "test"):
        # What it would keep of a stream is next to nothing, and its own folder may be out of reach.
        with _readable(source), tempfile.TemporaryDirectory() as scratch:
            rows = datasets.load_dataset(source, split=split, streaming=True, cache_dir=scratch)
            images, labels = _columns(rows, _CIFAR[name], source)
        arrays[f"{split}_images"] = images
        arrays[f"{split}_labels"] = labels
    return arrays


def _columns(rows: Iterable[Mapping[str, Any]], kind: "_Cifar", source: str) -> tuple[Any, Any]:
    images, labels, label = [], [], kind.label
    for row in rows:
        missing = [column for column in ("img", label) if column not in row]
        if missing:
            found = ", ".join(sorted(row))
            raise UserError(f"{source} has no column {missing[0]!r} (it has {found})")
        images.append(np.asarray(row["img"].convert("RGB"), dtype=np.uint8))
        labels.append(int(row[label]))
    shapes = {image.shape for image in images}
    if shapes != {(32, 32, 3)}:
        raise UserError(f"{source}: images must be 32×32 in colour, found {sorted(shapes)}")
    if odd := sorted({each for each in labels if not 0 <= each < kind.classes}):
        raise UserError(
            f"{source}: column {label!r} holds {odd[0]}, classes are 0 to {kind.classes - 1}: "
            "restore it"
        )
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)), np.asarray(labels)


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    """Whatever ``datasets`` and its decoders raise, made one clear line."""
    try:
        yield
    except UserError:
        raise
    except Exception as problem:
        reason = next((line for line in str(problem).splitlines() if line.strip()), "")
        hint = "check the connection, or set LIMITCYCLE_DATA to a folder that holds it"
        if Path(source).is_dir():
            source, hint = _damaged_file(source) or source, "restore it"
        raise UserError(
            f"{source} cannot be read ({type(problem).__name__}: {reason[:160]}): {hint}"
        ) from None


def _damaged_file(source: str) -> str | None:
    """The first Parquet file below ``source`` that is no Parquet file any more."""
    import pyarrow.parquet as pq

    for path in sorted(Path(source).glob("**/*.parquet")) if Path(source).is_dir() else ():
        try:
            pq.read_table(path)
        except Exception:
            return str(path)
    return None


def _remark(name: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    found, whole = len(arrays["train_labels"]), _CIFAR[name].train
    return "" if found == whole else f"{name} has {found:,} of its {whole:,} training images here"
