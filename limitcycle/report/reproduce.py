"""How to get a run again: the command that makes it, or Python where that says too little."""

import dataclasses
import shlex
from typing import Any

from limitcycle.checks import shell_word

FLAGS = ("lr", "weight_decay", "momentum", "batch_size", "steps", "epochs", "seed", "width",
         "resolution", "train_size", "dtype")  # fmt: skip


def command(run: Any, out: str) -> str:
    """A shell command (or, for settings the command line lacks, Python) that trains ``run``.

    Args:
        run: a `limitcycle.Run`.
        out: the folder to name in it.
    """
    settings = dataclasses.asdict(run)
    plain = {name: settings[name] for name in ("net", "data", *FLAGS)}
    if type(run)(**plain) == run:
        return _shell(plain, out)
    return _python(run, settings, out)


def _shell(settings: dict[str, Any], out: str) -> str:
    words = ["limitcycle", "train"]
    for name, value in settings.items():
        if name == "batch_size" and value is None:
            value = "full"
        if value is not None:
            number = f"{value:.12g}" if isinstance(value, float) else str(value)
            words += ["--" + name.replace("_", "-"), number]
    return f"{shlex.join(words)} --out {shell_word(out)}"


def _python(run: Any, settings: dict[str, Any], out: str) -> str:
    usual = {field.name: field.default for field in dataclasses.fields(run)}
    chosen = {
        name: value
        for name, value in settings.items()
        if value != usual[name] or name in ("net", "data", "lr", "weight_decay")
    }
    arguments = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
    return f"import limitcycle as lc\nlc.train(lc.Run({arguments}), {out!r})"
