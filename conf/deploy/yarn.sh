#!/usr/bin/env bash
# The night on YARN in cluster mode; run it from the root of the repo. Spark 4.1 or 4.2 is spark-submit's own, YARN
# ships it. Every host needs Java 17 or 21, and Python 3.11 at the path where it lies here: a packed environment links
# to it (conda-pack packs Python too, where hosts have none).
set -euo pipefail

# The environment, packed and put on HDFS once per version of xlrec: it is large, most of it torch (its build for CPUs
# is far smaller). No pyspark in it: YARN ships spark-submit's.
if [ ! -f environment.tar.gz ]; then
  python3.11 -m venv environment
  environment/bin/pip install -c conf/constraints.txt . venv-pack
  environment/bin/venv-pack --prefix environment --output environment.tar.gz
  hdfs dfs -put -f environment.tar.gz hdfs:///FOLDER/environment.tar.gz
fi

options=(
  --master yarn  # the cluster that HADOOP_CONF_DIR names
  --deploy-mode cluster  # the driver runs on the cluster: this host may go away
  --queue QUEUE  # of the YARN scheduler
  --packages io.delta:delta-spark_4.1_2.13:4.4.0  # Delta's jars and its Python; an hdfs: lake needs no more
  --archives hdfs:///FOLDER/environment.tar.gz#environment  # unpacked as ./environment in every container
  --files night.yaml  # lies in the driver's working folder, hence the bare name below
  --conf spark.yarn.appMasterEnv.PYSPARK_PYTHON=./environment/bin/python  # the driver, which tells it to executors
  --conf spark.yarn.maxAppAttempts=1  # YARN would start a failed driver again, whatever it failed of
  --conf spark.driver.memory=4g  # heap
  --conf spark.driver.memoryOverhead=8g  # the driver's Python: it joins the index and learns on it
  --conf spark.executor.instances=8  # `xlrec plan --executors N` says what more would save
  --conf spark.executor.cores=4  # tasks at once, each with a Python worker
  --conf spark.executor.memory=6g  # heap
  --conf spark.executor.memoryOverhead=8g  # Python workers and the index that they map; YARN kills who takes more
)
# In cluster mode spark-submit ends with 1 for any failure: the night's own line and exit code stand in the driver's
# log, `yarn logs -applicationId ID`. With --deploy-mode client it ends with the night's own code.
exec spark-submit "${options[@]}" jobs/nightly.py --config night.yaml
