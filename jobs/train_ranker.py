"""Ranker: learn to order the fused candidates from an inner split, and compare with the plain fusion.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/train_ranker.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["train-ranker", *sys.argv[1:]])
