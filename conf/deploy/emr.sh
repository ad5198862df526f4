#!/usr/bin/env bash
# The night as a step of an EMR cluster on EC2, which is YARN: yarn.sh says what the environment is and packs it; build
# it on the cluster's own Linux, and copy it, jobs/nightly.py and night.yaml to the bucket.
#
# Spark 4.1 or 4.2 is needed. EMR 7 has 3.5, and emr-spark-8.0.0 has 4.0.2 with Delta 4.0.0: on neither was xlrec tried.
# xlrec does not look at Spark's version: with another one the night fails where a jar does not fit, in Spark's words.
# Without any Delta it ends at once, with exit code 4 and one line that says so.
# On an EMR of Spark 3.5 or 4.0, Spark 4.1 can come along instead: `pip install pyspark==4.1.4` on the primary node, and
# yarn.sh there with its spark-submit and an s3a: lake (hadoop-aws in --packages). That is not tried either.
set -euo pipefail

options=(
  --deploy-mode cluster  # the driver runs in YARN; the step waits for it
  --packages io.delta:delta-spark_4.1_2.13:4.4.0  # leave EMR's own Delta off (no delta-defaults in the cluster)
  --archives s3://BUCKET/environment.tar.gz#environment  # unpacked as ./environment on every node
  --files s3://BUCKET/night.yaml  # its lake: s3://BUCKET/lake, the scheme of EMR's own file system
  --conf spark.yarn.appMasterEnv.PYSPARK_PYTHON=./environment/bin/python  # the driver, which tells it to executors
  --conf spark.yarn.maxAppAttempts=1  # no second driver after a failure: the scheduler decides (airflow_dag.py)
  --conf spark.driver.memory=4g  # heap
  --conf spark.driver.memoryOverhead=8g  # the driver's Python: it joins the index and learns on it
  --conf spark.executor.memory=6g  # heap
  --conf spark.executor.memoryOverhead=8g  # Python workers and the index that they map
  --conf spark.executor.cores=4  # EMR adds executors by itself (dynamic allocation)
)
job=(s3://BUCKET/jobs/nightly.py --config night.yaml)
# A list in one argument, by commas: no option above may hold one.
arguments=$(IFS=,; echo "${options[*]},${job[*]}")
# CONTINUE: a failed night leaves the cluster up for its logs.
steps="Type=Spark,Name=xlrec,ActionOnFailure=CONTINUE,Args=[$arguments]"
exec aws emr add-steps --cluster-id CLUSTER_ID --steps "$steps"
