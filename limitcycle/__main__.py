"""``python -m limitcycle``."""

from limitcycle.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
