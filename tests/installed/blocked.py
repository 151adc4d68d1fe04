"""``python blocked.py MODULES NAME FOLDER``: a use of `uses`, with no other module in reach."""

import sys
from importlib.machinery import PathFinder

ALLOWED = {*sys.argv[1].split(","), *sys.stdlib_module_names, "limitcycle", "uses", "nets"}


class OfTheBase(PathFinder):
    """Finds what is allowed, and of the rest nothing, as if it were not installed."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        first = fullname.partition(".")[0]
        if first not in ALLOWED and not first.startswith("_sysconfigdata"):
            return None
        return super().find_spec(fullname, path, target)


sys.meta_path[:] = [*sys.meta_path[:2], OfTheBase]  # behind those for built-in and frozen modules

if __name__ == "__main__":
    import os

    import uses

    os.chdir(sys.argv[3])
    getattr(uses, sys.argv[2])()
    print("used")
