#!/usr/bin/env bash
# Tells Spark which GPUs a machine has, as JSON. On every worker, executable, named by
#   spark.worker.resource.gpu.discoveryScript    standalone: in the worker's own settings, beside …gpu.amount
#   spark.executor.resource.gpu.discoveryScript  YARN and Kubernetes: of spark-submit, beside …gpu.amount
# `spark.executor.resource.gpu.amount=1` gives each executor one. Leave `spark.task.resource.gpu.amount` unset: xlrec asks
# for a GPU for each task of the stages that use one, and the others keep all cores.
set -euo pipefail
found=$(nvidia-smi --query-gpu=index --format=csv,noheader | sed 's/.*/"&"/' | paste -sd, -)
echo "{\"name\": \"gpu\", \"addresses\": [$found]}"
