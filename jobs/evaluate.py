"""Evaluate: splits by time, runs the same stages on the history, scores against the holdout.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/evaluate.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
