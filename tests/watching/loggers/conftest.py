"""Rows are handed over when a test says so, however slow the machine is."""

import math
import sys

import pytest


@pytest.fixture(scope="package", autouse=True)
def _no_clock():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["limitcycle.watching.watch"], "READ_AFTER", math.inf)
        yield
