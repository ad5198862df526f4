"""Publish alone: audits the newest recommended run and releases it.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/publish.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["publish", *sys.argv[1:]])
