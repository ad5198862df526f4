"""The nightly run: prepare, embed, train, retrieve, rank, audit, publish, report.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/nightly.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
