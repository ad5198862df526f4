"""Doctor: what a night asks of driver, executors, lake and inputs, tried, with what to do where something is missing.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/doctor.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["doctor", *sys.argv[1:]])
