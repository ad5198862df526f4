#!/usr/bin/env bash
# The night on a standalone cluster; run it from the root of the repo, on a host that every worker reaches.
# Client mode only: standalone has no cluster mode for Python programs. So the driver runs here, needs xlrec here, and
# this script ends with the exit code of the night (xlrec/errors.py).
set -euo pipefail

# Python 3.11 or 3.12 with xlrec's dependencies, at the same path on every machine.
: "${PYSPARK_PYTHON:?name the Python of all machines, such as one of a virtual environment}"

options=(
  --master spark://MASTER_HOST:7077  # as the master's page says it
  --deploy-mode client  # the default; here it is the only one
  # Delta, and S3 for an s3a: lake: hadoop-aws has the version of Spark's hadoop-client-api jar. HDFS needs no jar.
  --packages io.delta:delta-spark_4.1_2.13:4.4.0,org.apache.hadoop:hadoop-aws:3.4.2
  --conf spark.driver.host=DRIVER_ADDRESS  # this host as workers reach it; only needed where its name does not resolve
  --conf spark.driver.memory=4g  # heap; the driver's Python, which joins the index and learns on it, comes on top
  --conf spark.executor.memory=8g  # heap; Python workers come on top, one a core: `xlrec plan` says how much
  --conf spark.cores.max=64  # of the whole cluster; without it the night takes every core
  --conf spark.hadoop.fs.s3a.endpoint=S3_ENDPOINT  # only for S3 that is not Amazon's
)
# Keys of S3 come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which spark-submit hands to executors.
exec spark-submit "${options[@]}" jobs/nightly.py --config night.yaml
