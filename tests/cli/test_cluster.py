"""Mistakes about a cluster are one line and exit code 2, before anything is trained."""

from importlib.util import find_spec

import pytest

from limitcycle.cli.main import main
from limitcycle.lab import cluster
from tests.lab.nodes import free_port
from tests.lab.pretended import PretendedRay

SMALL = ["--width", "8", "--train-size", "300", "--test-size", "100", "--steps", "6"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--on", "ray"], "--on ray needs --storage"),
        (["--storage", "{}/storage"], "--storage is of a cluster: say --on ray, too"),
        (["--address", "head:6379"], "--address is of a cluster"),
        (["--on", "ray", "--storage", "{}/file/storage"], "file/storage cannot be written"),
        (["--on", "ray", "--storage", "nonsense://x"], "storage 'nonsense://x' cannot be used"),
        (["--on", "ray", "--storage", " "], "the storage is empty"),
        (["--on", "ray", "--storage", "{}/s", "--together", "2"], "--together is for this machine"),
    ],
)
def test_mistakes_are_one_line(options, said, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    options = [option.format(tmp_path) for option in options]
    assert main(["train", *SMALL, *options, "--out", str(tmp_path / "run")]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_unknown_kind_of_cluster_names_the_known_ones(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "--on", "mesos", "--out", "run"])
    assert ended.value.code == 2
    assert "must be one of local, ray" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_a_cluster_that_does_not_answer_is_named(tmp_path, capsys):
    address = f"127.0.0.1:{free_port()}"
    where = ["--on", "ray", "--storage", str(tmp_path / "storage"), "--address", address]
    assert main(["train", *SMALL, *where, "--out", str(tmp_path / "run")]) == 2
    complaint = capsys.readouterr().err
    assert f"no Ray cluster at {address}" in complaint
    assert complaint.count("\n") == 1


class BusyRay(PretendedRay):
    """A head whose server for a client does not start in time, at the first tries."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def is_initialized(self) -> bool:
        return False

    def init(self, address: str, **_: object) -> None:
        self.refusals -= 1
        if self.refusals >= 0:
            raise ConnectionAbortedError(
                "Initialization failure from server:\nTraceback (most recent call last):\n"
                "  File ...\nRuntimeError: Starting Ray client server failed.\n"
            )

    def shutdown(self) -> None:
        pass


@pytest.mark.parametrize(("refusals", "code"), [(2, 0), (3, 2)])
def test_a_busy_head_is_asked_again(refusals, code, tmp_path, monkeypatch, capsys):
    ray = BusyRay(refusals)
    monkeypatch.setattr(cluster, "_ray", lambda: ray)
    monkeypatch.setattr(cluster, "_knock", lambda _: None)
    where = ["--on", "ray", "--storage", str(tmp_path / "storage"), "--address", "ray://head:10001"]
    assert main(["train", *SMALL, *where, "--out", str(tmp_path / "run")]) == code
    if code:
        complaint = capsys.readouterr().err
        assert "ray://head:10001 (RuntimeError: Starting Ray client server failed.)" in complaint
        assert complaint.count("\n") == 1


def test_a_grid_ends_as_it_does_here(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "_ray", PretendedRay)
    where = ["--on", "ray", "--storage", str(tmp_path / "storage")]
    grid = ["train", *SMALL, "--lr", "0.3", "1", *where, "--out", str(tmp_path / "grid")]
    assert main(grid) == 0
    assert "2 of 2 runs done" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "grid").iterdir()) == ["lr=0.3", "lr=1"]


def test_the_papers_runs_are_given_out_too(tmp_path, monkeypatch):
    asked = []

    def run_jobs(jobs, *_, **options):
        asked.append(options["cluster"])
        raise KeyboardInterrupt

    monkeypatch.setattr("limitcycle.cli.paper.run_jobs", run_jobs)
    where = ["--on", "ray", "--storage", "runs", "--address", "head:6379"]
    assert main(["paper", "2", *where, "--out", str(tmp_path / "paper")]) == 130
    assert asked == [cluster.Cluster("runs", "head:6379")]
