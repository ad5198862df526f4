"""The DAG of conf/deploy tries a night again where that can help, and only there; Airflow itself is not installed."""

import ast
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from xlrec import errors
from xlrec.config.models import PublishConfig
from xlrec.lake.lease import MISSED
from xlrec.runtime.session import delta_package

CONF = Path(__file__).resolve().parents[2] / "conf"
SOURCE = (CONF / "deploy" / "airflow_dag.py").read_text(encoding="utf-8")


class FailAtOnce(Exception):  # noqa: N818
    """Airflow's AirflowFailException."""


class Submit:
    """Airflow's SparkSubmitOperator, as far as the DAG uses it: ends as `ends` says."""

    ends = 0
    made: "list[dict[str, Any]]" = []  # noqa: RUF012

    def __init__(self, **arguments: Any) -> None:
        Submit.made.append(arguments)

    def execute(self, _: object) -> None:
        if Submit.ends:
            raise RuntimeError(
                f"Cannot execute: spark-submit night.yaml. Error code is: {Submit.ends}.\nLast output:\n"
            )


class Dag:
    """Airflow's DAG."""

    def __init__(self, *_: Any, **arguments: Any) -> None:
        self.arguments = arguments

    def __enter__(self) -> "Dag":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def dag(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the DAG's module defines, where Airflow is what stands above."""
    names = "airflow airflow.providers airflow.providers.apache airflow.providers.apache.spark"
    modules = {name: ModuleType(name) for name in [*names.split(), f"{names.split()[-1]}.operators"]}
    modules["airflow.exceptions"] = exceptions = ModuleType("airflow.exceptions")
    modules["airflow.providers.apache.spark.operators.spark_submit"] = operators = ModuleType("spark_submit")
    modules["airflow.sdk"] = sdk = ModuleType("airflow.sdk")
    vars(exceptions).update(AirflowException=RuntimeError, AirflowFailException=FailAtOnce)
    vars(operators).update(SparkSubmitOperator=Submit)
    vars(sdk).update(DAG=Dag)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(Submit, "ends", 0)
    monkeypatch.setattr(Submit, "made", [])
    found: dict[str, Any] = {}
    exec(compile(SOURCE, "airflow_dag.py", "exec"), found)
    return found


def statuses() -> set[int]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.XlrecError)]
    return {kind.status for kind in kinds}


def test_the_dag_sorts_every_exit_code_and_only_those(dag: dict[str, Any]) -> None:
    repeat = (errors.ConfigError, errors.InputError, errors.AuditError, errors.EncoderError)
    assert set(dag["FINAL"]) == {kind.status for kind in repeat}
    assert set(dag["FINAL"]) | dag["PASSING"] == statuses()
    assert not set(dag["FINAL"]) & dag["PASSING"]
    for kind in repeat:
        assert dag["FINAL"][kind.status].startswith(kind.code.lower())


@pytest.mark.parametrize("status", sorted({0, 137} | statuses()))
def test_a_night_fails_at_once_where_its_exit_code_is_final(dag: dict[str, Any], status: int) -> None:
    Submit.ends = status
    night = dag["Night"]()
    if not status:
        night.execute({})
        return
    with pytest.raises(FailAtOnce if status in dag["FINAL"] else RuntimeError, match=str(status)):
        night.execute({})


def test_the_dag_submits_the_job_in_client_mode_and_waits_longer_than_a_dead_run_counts_as_alive(
    dag: dict[str, Any],
) -> None:
    (night,) = Submit.made
    assert dag["Night"].__mro__[1] is Submit
    assert night["application"].endswith("jobs/nightly.py")
    assert night["application_args"][0] == "--config"
    assert night["deploy_mode"] == "client"  # the only one that ends with the night's code
    assert night["retries"] > 0
    assert night["retry_delay"].total_seconds() > MISSED * PublishConfig().heartbeat_s
    assert night["execution_timeout"] > night["retry_delay"]
    assert delta_package() in night["packages"].split(",")


def test_the_dags_page_says_the_codes_that_the_dag_holds(dag: dict[str, Any]) -> None:
    line = next(one for one in (CONF / "README.md").read_text(encoding="utf-8").splitlines() if "airflow_dag.py" in one)
    passing, final = (set(map(int, re.findall(r"\d+", part))) for part in line.split("another try:")[1].split(" are, "))
    assert (passing, final) == (dag["PASSING"], set(dag["FINAL"]))


def test_the_dag_names_each_thing_it_imports() -> None:
    """ruff and mypy see Airflow nowhere: that its names are used is looked at here."""
    tree = ast.parse(SOURCE)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert imported <= used
