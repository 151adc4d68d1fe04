"""What a release has to pass: the wheel, installed as users install it, does what README says.

    python tools/release.py            # the base, then the lab and its pages
    python tools/release.py --quick    # the base alone

Each environment is made anew and is removed afterwards. torch is installed from the index, so that
this takes minutes and gigabytes.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHORTER = (("--steps 20000", "--steps 60"),)
WITH_EXTRAS = ("train", "diagnose", "report")


def main() -> None:
    """Check; the exit code says whether it holds."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="the base alone")
    given = options.parse_args()
    check_changelog()
    with tempfile.TemporaryDirectory() as folder:
        wheel = built(Path(folder))
        base(Path(folder) / "base", wheel)
        if not given.quick:
            lab(Path(folder) / "lab", wheel)
    print("the wheel holds what README says")


def check_changelog() -> None:
    """The version has a section with a date.

    Raises:
        SystemExit: it has none.
    """
    if not dated(version(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")):
        raise SystemExit(f"CHANGELOG.md has no section '## {version()} (YYYY-MM-DD)'")


def version() -> str:
    """Of the package."""
    text = (ROOT / "limitcycle" / "_version.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    assert found is not None
    return found[1]


def dated(number: str, changelog: str) -> bool:
    """Whether the changelog has a section of that version, with a date."""
    section = rf"^## {re.escape(number)} \(\d{{4}}-\d\d-\d\d\)$"
    return re.search(section, changelog, re.MULTILINE) is not None


def commands(text: str, verbs: tuple[str, ...]) -> list[str]:
    """The commands of a page's blocks that begin with ``limitcycle`` and one of ``verbs``.

    Those that need other data than scikit-learn's digits are left out.
    """
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s{2,}#.*|\s+#\s.*", "", line).strip()
            words = command.split()
            known = len(words) > 1 and words[0] == "limitcycle" and words[1] in verbs
            if known and "cifar" not in command:
                found.append(command)
    return found


def built(folder: Path) -> Path:
    """The wheel."""
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def base(where: Path, wheel: Path) -> None:
    """Without any extra: a log is diagnosed, and what is missing is named."""
    python = environment(where, str(wheel))
    (where / "log.csv").write_text(table(), encoding="utf-8")
    shell(where, "limitcycle diagnose log.csv --lr 0.3 --weight-decay 0.005")
    refused = subprocess.run(
        [python, "-m", "limitcycle", "train", "--out", "x"],
        cwd=where,
        capture_output=True,
        text=True,
    )
    if refused.returncode != 2 or "pip install 'limitcycle[" not in refused.stderr:
        raise SystemExit(f"train without its extra says: {refused.stderr}")


def lab(where: Path, wheel: Path) -> None:
    """With the lab and its pages: README's commands, with fewer steps."""
    environment(where, f"{wheel}[lab,report]")
    for command in commands((ROOT / "README.md").read_text(encoding="utf-8"), WITH_EXTRAS):
        for long, short in SHORTER:
            command = command.replace(long, short)
        shell(where, command)


def table() -> str:
    """A saw-tooth as CSV."""
    rows = ["step,loss,norm"]
    for step in range(2_000):
        since = step % 400
        rows.append(f"{step},{0.001 + 3 * 0.7**since + 0.0001 * (step % 7)},{6 * 0.9985**since}")
    return "\n".join(rows) + "\n"


def environment(where: Path, wanted: str) -> str:
    """Python of a new environment in which the wheel is installed, pinned as tests are."""
    run(sys.executable, "-m", "venv", "--without-pip", str(where))
    python = str(where / "bin" / "python")
    outer = Path(sys.base_prefix) / "bin" / "python3"
    limits = str(ROOT / "constraints.txt")
    run(str(outer), "-m", "pip", "--python", python, "install", "--quiet", "-c", limits, wanted)
    return python


def shell(where: Path, command: str) -> None:
    """One of README's commands, by the environment's ``limitcycle``."""
    print(f"  {command}", flush=True)
    _, *words = command.split()
    run(str(where / "bin" / "limitcycle"), *words, cwd=where)


def run(*words: str, cwd: Path | None = None) -> None:
    """A command that has to succeed.

    Raises:
        SystemExit: it did not.
    """
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
