"""What comes with an extra, and the one line for whoever lacks it.

The base imports torch, NumPy, pandas, pyarrow and safetensors alone. All else is imported where it
is used: inside `from_extra`, or by a verb of the command line that has asked for it by `require`.
"""

import contextlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from limitcycle.errors import UserError

# Extra → modules that are imported for what it is for.
MODULES: Mapping[str, tuple[str, ...]] = {
    "lab": ("rich", "sklearn", "datasets", "PIL"),
    "report": ("rich", "matplotlib", "plotly"),
    "live": ("starlette", "uvicorn"),
    "lightning": ("lightning",),
    "transformers": ("transformers", "accelerate"),
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "ray": ("ray",),
}


def require(what: str, *extras: str) -> None:
    """Refuse ``what`` before it costs anything; modules are looked for, not imported.

    Raises:
        UserError: a module of ``extras`` is not there; it says what to install.
    """
    lacking = [extra for extra in extras if not all(map(_is_there, MODULES[extra]))]
    if lacking:
        kind = "extra" if len(lacking) == 1 else "extras"
        raise missing_extra(f"{what} needs the {kind} {' and '.join(lacking)}", *lacking)


@contextlib.contextmanager
def from_extra(extra: str, what: str) -> Iterator[None]:
    """Inside, an import for which a package is missing ends in the line of `missing_extra`.

    Args:
        extra: that brings what is imported.
        what: who needs what, as "digits need scikit-learn".

    Raises:
        UserError: instead of the ImportError, with its reason.
    """
    try:
        yield
    except ImportError as problem:
        if (problem.name or "").split(".")[0] == "limitcycle":
            raise  # a fault of ours, which no installation mends
        named = (problem.name or "").split(".")[0] in MODULES[extra]
        raise missing_extra(what, extra, reason="" if named else str(problem)) from None


def missing_extra(what: str, *extras: str, reason: str = "") -> UserError:
    """The line that says ``what`` is needed, how to install it, and why it was not found."""
    aside = f" ({reason})" if reason else ""
    return UserError(f"{what}: pip install 'limitcycle[{','.join(extras)}]'{aside}")


def _is_there(module: str) -> bool:
    """Whether ``module`` is installed: a mere folder of its name, as W&B leaves one, is not it."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None
