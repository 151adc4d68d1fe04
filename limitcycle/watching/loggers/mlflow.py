"""MLflow: curves as metrics, settings as parameters, the diagnosis as tags and text."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from limitcycle.reading import Diagnosis, Forecast
from limitcycle.symmetry import Symmetries
from limitcycle.watching.loggers import curves
from limitcycle.watching.loggers.curves import GROUP_CURVES, Curves, check_run, curve, needed

MOST_METRICS = 1000  # that a tracking server takes at once
TAG, PARAMETER = 5000, 500  # characters that older servers take
_STATUS = {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MLflow:
    """Logs what is measured to a run of MLflow, on the tracking server in force.

    ::

        mlflow.set_tracking_uri("sqlite:///mlflow.db")
        with mlflow.start_run():
            with lc.watch(model, optimizer, sink=MLflow()) as w:
                ...

    Args:
        run: None: the active run at the first step; if there is none, one is started then.
        groups: columns of the group table that become curves, one a group.
        every: steps between the rows of the step table that are logged.
        options: of ``mlflow.start_run``, for a run of the sink's own: ``run_name``, ``run_id``, …

    Raises:
        UserError: ``mlflow`` is not installed, ``run`` is no run, or has ``options`` besides.
    """

    def __init__(
        self,
        run: Any = None,
        *,
        groups: Sequence[str] = GROUP_CURVES,
        every: int = 1,
        **options: Any,
    ) -> None:
        needed("mlflow")
        check_run(run, "info", "mlflow.start_run", options)
        self._given, self._options = run, options
        self._curves = Curves(groups, every)
        self._client: Any = None
        self._run = ""
        self._ours = False
        self._symmetries = ""

    def begin(self, info: Mapping[str, Any], symmetries: Symmetries, step: int) -> None:
        """Find or start the run, and say what is watched."""
        mlflow = needed("mlflow")
        run = self._given or mlflow.active_run()
        self._ours = run is None
        if run is None:
            run = mlflow.start_run(**self._options)
        self._client, self._run = mlflow.MlflowClient(), run.info.run_id
        self._symmetries = str(symmetries)
        # A parameter cannot be changed: what the first part of a resumed job said of itself stays.
        known = self._client.get_run(self._run).data.params
        told = {curve(name): value for name, value in curves.settings(info, symmetries).items()}
        new = {name: str(value)[:PARAMETER] for name, value in told.items() if name not in known}
        params = [mlflow.entities.Param(name, value) for name, value in new.items()]
        self._client.log_batch(self._run, params=params)

    def __call__(self, steps: pd.DataFrame, groups: pd.DataFrame) -> None:
        """Log rows."""
        metric = needed("mlflow").entities.Metric
        now = int(1000 * time.time())
        metrics = [
            metric(name, value, now, step)
            for step, values in self._curves.of(steps, groups)
            for name, value in values.items()
        ]
        for first in range(0, len(metrics), MOST_METRICS):
            self._client.log_batch(self._run, metrics=metrics[first : first + MOST_METRICS])

    def foretell(self, step: int, forecast: Forecast) -> None:
        """Log when the next jump comes, in steps from here on."""
        metric = needed("mlflow").entities.Metric
        now = int(1000 * time.time())
        told = curves.foretold(forecast)
        metrics = [metric(name, value, now, step) for name, value in told.items()]
        if metrics:
            self._client.log_batch(self._run, metrics=metrics)

    def close(self, state: str, step: int, reason: str, diagnosis: Diagnosis | None) -> None:
        """Sum up; end a run of its own."""
        if self._client is None:
            return
        try:
            self._sum_up(f"{state} {reason}".strip(), diagnosis)
        finally:
            if self._ours:
                self._end(_STATUS.get(state, "FAILED"))
            self._client = None

    def _sum_up(self, status: str, diagnosis: Diagnosis | None) -> None:
        tags = {curves.STATUS: status}
        if diagnosis is not None:
            tags |= {curves.LABEL: diagnosis.label, curves.DIAGNOSIS: str(diagnosis)}
        for name, text in tags.items():
            self._client.set_tag(self._run, name, text[:TAG])
        # Last: files may lie on a server of their own, and that may be out of reach.
        self._client.log_text(self._run, self._symmetries, f"{curves.SYMMETRIES}.txt")

    def _end(self, status: str) -> None:
        mlflow = needed("mlflow")
        active = mlflow.active_run()
        if active is not None and active.info.run_id == self._run:
            mlflow.end_run(status)
        else:
            self._client.set_terminated(self._run, status)
