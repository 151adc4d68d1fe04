"""What all tests share: one cache for the session, and the way to the real data."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_cache(tmp_path_factory: pytest.TempPathFactory):
    """Nothing a test finds or decodes lands in the user's cache."""
    former = os.environ.get("LIMITCYCLE_CACHE")
    os.environ["LIMITCYCLE_CACHE"] = former or str(tmp_path_factory.mktemp("cache"))
    yield
    if former is None:
        del os.environ["LIMITCYCLE_CACHE"]


@pytest.fixture(scope="session")
def cifar() -> Path:
    """The folder that holds cifar10/ and cifar100/, or a skip."""
    root = os.environ.get("LIMITCYCLE_DATA")
    if not root or not (Path(root) / "cifar10").is_dir():
        pytest.skip("LIMITCYCLE_DATA does not lead to CIFAR")
    return Path(root)
