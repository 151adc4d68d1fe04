"""What the project claims about speed and correctness, measured; `python -m benchmarks.NAME`."""
