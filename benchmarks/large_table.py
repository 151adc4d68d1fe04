"""What reading a long table costs: seconds, and memory in all.

    python -m benchmarks.large_table                  # 1e7 rows
    python -m benchmarks.large_table --rows 400000

The table is a drawn oscillator with a jump every 1,500 steps, in the types of a record.
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd

from limitcycle.reading import diagnose

PERIOD = 1_500


def table(rows: int) -> pd.DataFrame:
    """A norm that falls by a half in each period and is thrown back, as the loss jumps."""
    rng = np.random.default_rng(0)
    step = np.arange(rows)
    since = (step % PERIOD).astype(np.float32)
    jump = np.exp(-since / 15) * (step >= PERIOD)
    noise = np.exp(0.4 * rng.standard_normal(rows, dtype=np.float32))
    return pd.DataFrame(
        {
            "step": step,
            "loss": (1e-3 + jump + 2 * np.exp(-step / 50)).astype(np.float32) * noise,
            "norm": 5 * np.exp(-since / PERIOD * np.log(2)) * (1 - 0.5 * np.exp(-since / 5)),
            "lr": np.float32(0.1),
            "weight_decay": np.float32(1e-3),
        }
    )


def main() -> None:
    """Make a table, read it, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    made = table(parser.parse_args().rows)
    began = time.perf_counter()
    found = diagnose(made)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{len(made):,} rows in {seconds:.1f} s, {peak:.2f} GB at most in the whole process: "
        f"{found.label}, {len(found.events):,} jumps"
    )


if __name__ == "__main__":
    main()
