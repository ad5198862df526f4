"""Recommend alone: candidates and ranked lists of the last trained model; not released.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/recommend.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["recommend", *sys.argv[1:]])
