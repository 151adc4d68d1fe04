"""Data: what is loaded, how it is cut, and what is said when it cannot be."""

import hashlib
import io
import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from limitcycle.errors import UserError
from limitcycle.lab import train
from limitcycle.lab.data import augment, load_dataset, order
from limitcycle.lab.sources import load_images
from limitcycle.record import Run

CPU = torch.device("cpu")


def test_digits_make_eleven_whole_batches():
    data = load_dataset(Run(), CPU)
    assert data.train_images.shape == (11 * 128, 1, 8, 8)
    assert data.test_images.shape == (389, 1, 8, 8)
    assert float(data.train_images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(data.train_images.std()) == pytest.approx(1, abs=1e-5)
    assert set(data.train_labels.tolist()) == set(range(10))


def test_every_epoch_has_its_own_order_of_all_images():
    first, second = order(0, 0, 1_408), order(0, 1, 1_408)
    assert sorted(first.tolist()) == list(range(1_408))
    assert not torch.equal(first, second)
    assert torch.equal(first, order(0, 0, 1_408))
    assert not torch.equal(first, order(1, 0, 1_408))


def test_augmentation_is_a_crop_of_the_padded_image_or_its_mirror():
    """Every augmented image is one of the 2 · 81 crops of its original, padded with black."""
    images = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    black = torch.tensor([-2.0, -3.0, -4.0]).view(3, 1, 1)
    result = augment(images, black, seed=0, step=5)
    padded = black.expand(64, 3, 40, 40).clone()
    padded[:, :, 4:36, 4:36] = images
    seen = set()
    for i in range(64):
        crops = {
            (dy, dx, mirrored): padded[i, :, dy : dy + 32, dx : dx + 32].flip(2 if mirrored else ())
            for dy in range(9)
            for dx in range(9)
            for mirrored in (False, True)
        }
        found = [k for k, crop in crops.items() if torch.allclose(crop, result[i], atol=1e-5)]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 40
    assert {mirrored for *_, mirrored in seen} == {False, True}
    assert torch.equal(result, augment(images, black, seed=0, step=5))
    assert not torch.equal(result, augment(images, black, seed=0, step=6))


def test_too_large_a_subset_is_refused():
    with pytest.raises(UserError, match=r"digits train has 1,408 images, 5,000 were asked for"):
        load_dataset(Run(train_size=5_000), CPU)


def test_resolution_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match="resolution 5 does not divide 8"):
        load_dataset(Run(resolution=5), CPU)


@pytest.mark.slow  # all of it is decoded
def test_cifar10_is_whole_and_exact(cifar):
    images = load_images("cifar10")
    assert images.train_images.shape == (50_000, 3, 32, 32)
    assert np.bincount(images.train_labels).tolist() == [5_000] * 10
    means = images.train_images.mean(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(means, [0.49139968, 0.48215841, 0.44653091], atol=1e-6)
    assert images.remark == ""


@pytest.mark.slow
def test_reduced_cifar(cifar):
    data = load_dataset(Run(net="convnet", data="cifar10", train_size=64, resolution=16), CPU)
    assert data.train_images.shape == (64, 3, 16, 16)
    assert data.train_images.permute(0, 2, 3, 1).is_contiguous()
    assert abs(float(data.train_images.mean())) < 0.2


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """A tiny folder laid out like the real one, and a cache of its own."""
    from PIL import Image

    folder = tmp_path / "data" / "cifar10"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        cells = []
        for i in range(20):
            buffer = io.BytesIO()
            Image.fromarray(np.full((32, 32, 3), i, np.uint8)).save(buffer, "PNG")
            cells.append({"bytes": buffer.getvalue(), "path": None})
        write_table(folder / f"{split}-00000-of-00001.parquet", cells)
    monkeypatch.setenv("LIMITCYCLE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    return folder


def write_table(path, cells, label="label"):
    """Images and labels as Parquet, with the features that ``datasets`` writes into the schema."""
    from datasets import Dataset, Features, Image, Value

    features = Features({"img": Image(), label: Value("int64")})
    labels = [i % 10 for i in range(len(cells))]
    Dataset.from_dict({"img": cells, label: labels}, features=features).to_parquet(path)


def test_a_folder_is_decoded_once(small_cifar, monkeypatch):
    first = load_images("cifar10")
    assert first.train_images[7, 0, 0, 0] == 7
    assert "20 of its 50,000 training images" in first.remark
    monkeypatch.setattr("limitcycle.lab.sources._decode", lambda *_: pytest.fail("decoded again"))
    assert np.array_equal(load_images("cifar10").train_images, first.train_images)


def test_a_damaged_cache_is_made_again(small_cifar, tmp_path):
    first = load_images("cifar10")
    (file,) = (tmp_path / "cache").rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    assert np.array_equal(load_images("cifar10").train_images, first.train_images)


def test_a_missing_folder_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMITCYCLE_DATA", str(tmp_path))
    with pytest.raises(UserError, match="has no folder cifar100/") as problem:
        load_images("cifar100")
    assert "\n" not in str(problem.value)


def test_a_wrong_column_is_named(small_cifar):
    path = small_cifar / "train-00000-of-00001.parquet"
    cells = pd.read_parquet(path)["img"].tolist()
    write_table(path, cells, label="klass")
    shutil.copy(path, small_cifar / "test-00000-of-00001.parquet")
    with pytest.raises(UserError, match="no column 'label'"):
        load_images("cifar10")


def test_a_label_that_is_no_class_is_named(small_cifar, tmp_path):
    path = small_cifar / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    labels = pa.array([77, *table["label"].to_pylist()[1:]], pa.int64())
    place = table.column_names.index("label")
    pq.write_table(table.set_column(place, table.field("label"), labels), path)
    with pytest.raises(UserError, match="'label' holds 77, classes are 0 to 9"):
        load_images("cifar10")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("damage", ["truncated", "corrupt image"])
def test_a_damaged_file_is_one_line(small_cifar, damage):
    path = small_cifar / "train-00000-of-00001.parquet"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        cells = pd.read_parquet(path)["img"].tolist()
        cells[3] = {"bytes": cells[3]["bytes"][:50], "path": None}
        write_table(path, cells)
    with pytest.raises(UserError, match="cannot be read") as problem:
        load_images("cifar10")
    assert "\n" not in str(problem.value)
    assert "train-00000" in str(problem.value) or damage != "truncated"


def test_a_subset_is_the_same_whatever_the_order_of_the_rows(monkeypatch):
    whole = load_images("digits")
    mixed = np.random.default_rng(1).permutation(len(whole.train_labels))
    other = whole._replace(
        train_images=whole.train_images[mixed], train_labels=whole.train_labels[mixed]
    )
    run = Run(train_size=200, classes=5)
    first = load_dataset(run, CPU)
    monkeypatch.setattr("limitcycle.lab.data.load_images", lambda _: other)
    second = load_dataset(run, CPU)
    assert first.digest == second.digest and torch.equal(first.train_images, second.train_images)
    by_row = Run(train_size=200, drawn="row")
    assert load_dataset(by_row, CPU).digest != first.digest


def test_classes_are_the_first_ones_by_label():
    data = load_dataset(Run(classes=3), CPU)
    assert data.classes == 3
    assert set(data.train_labels.tolist()) == set(data.test_labels.tolist()) == {0, 1, 2}
    with pytest.raises(UserError, match=r"digits train \(3 classes\) has"):
        load_dataset(Run(classes=3, train_size=1_000), CPU)
    with pytest.raises(UserError, match="classes must be 2 to 10 of digits, not 11"):
        Run(classes=11)


def test_runs_from_before_subsets_were_drawn_by_content_are_other_runs(tmp_path):
    content = Run(width=8, train_size=300, steps=2)
    old = {k: v for k, v in content.to_dict().items() if k not in ("drawn", "classes")}
    assert Run.from_dict(old).drawn == "row"
    assert Run.from_dict(old).identity != content.identity
    text = json.dumps({**old, "start_from": None}, sort_keys=True)
    assert Run.from_dict(old).identity == hashlib.sha256(text.encode()).hexdigest()[:16]
    whole = Run(steps=2)
    without = {k: v for k, v in whole.to_dict().items() if k not in ("drawn", "classes")}
    assert Run.from_dict(without).identity == whole.identity
    train(Run.from_dict(old), tmp_path)
    with pytest.raises(UserError, match=r"another run \(drawn 'row' there, 'content' here\)"):
        train(content, tmp_path)


def test_a_run_that_began_on_other_data_says_so(tmp_path, monkeypatch):
    run = Run(width=8, steps=40)
    train(run, tmp_path, should_stop=lambda: True)
    whole = load_images("digits")
    turned = whole._replace(train_images=whole.train_images[::-1].copy())
    monkeypatch.setattr("limitcycle.lab.data.load_images", lambda _: turned)
    with pytest.raises(UserError, match=r"began on other data \(digest"):
        train(run, tmp_path)
    monkeypatch.undo()
    assert train(run, tmp_path).status["state"] == "done"
