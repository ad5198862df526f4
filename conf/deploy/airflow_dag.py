"""The night in Airflow 3 (in Airflow 2, `from airflow import DAG`): once a day, tried again where that can help.

Needs apache-airflow-providers-apache-spark, spark-submit on the PATH of Airflow's workers, and there the Python of
standalone.sh. A night that is stopped, at whatever moment, leaves readers the last release, and the next one converges.
"""

import re
from datetime import datetime, timedelta

from airflow.exceptions import AirflowException, AirflowFailException  # the newest: of airflow.sdk.exceptions
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG

#: Exit codes (xlrec/errors.py) that a second run would only repeat, and who mends the cause.
FINAL = {
    2: "config: mend night.yaml or the arguments",
    3: "input: the owner of the tables mends them",
    7: "audit: the lists missed a bar, the same inputs give the same lists; see the report",
    8: "encoder: mend `embed` in night.yaml",
}
#: Those that can pass: an executor was lost (1), no room on the cluster (4), storage failed (5), another run (6).
PASSING = {1, 4, 5, 6}


class Night(SparkSubmitOperator):
    """spark-submit that fails at once where another try cannot help.

    A task that is stopped (timeout, SIGTERM, cleared) kills spark-submit by the operator's own `on_kill`; the driver
    ends where it next calls Spark. A minute later another try gets the lake; exit code 6 says that the run still beats.
    """

    def execute(self, context):
        """Runs the night; AirflowFailException skips the retries that are left."""
        try:
            super().execute(context)
        except AirflowException as error:
            told = re.search(r"Error code is: (\d+)", str(error))  # as the Spark provider writes it
            if told and int(told[1]) in FINAL:
                raise AirflowFailException(f"exit code {told[1]}, {FINAL[int(told[1])]}") from error
            raise


with DAG(
    "xlrec",
    schedule="0 2 * * *",  # when the day's interactions are complete
    start_date=datetime(2026, 1, 1),  # any day in the past
    catchup=False,  # a night reads all history: missed ones need no run of their own
    max_active_runs=1,  # one lake, one run
):
    Night(
        task_id="night",
        conn_id="spark_default",  # its host is the master: spark://MASTER_HOST:7077, or yarn
        deploy_mode="client",  # ends with the night's exit code; YARN's cluster mode says 1 whatever it was
        application="XLREC_FOLDER/jobs/nightly.py",  # the checkout on Airflow's workers
        application_args=["--config", "XLREC_FOLDER/night.yaml"],
        packages="io.delta:delta-spark_4.1_2.13:4.4.0,org.apache.hadoop:hadoop-aws:3.4.2",  # Delta; S3, if the lake is
        driver_memory="4g",  # heap; the driver's Python comes on top, on Airflow's worker
        executor_memory="8g",  # heap
        conf={"spark.driver.host": "DRIVER_ADDRESS"},  # Airflow's worker as the cluster reaches it
        retries=2,
        retry_delay=timedelta(minutes=10),  # longer than the minute after which a dead run is seen as dead
        execution_timeout=timedelta(hours=6),  # then on_kill, then a retry
    )
