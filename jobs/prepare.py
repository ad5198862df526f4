"""Prepare alone: inputs into texts, items, events, users; bad rows into rejects.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/prepare.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["prepare", *sys.argv[1:]])
