"""Doctor: checks of driver, executors, lake and inputs for a night, each with a remedy where it fails.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/doctor.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["doctor", *sys.argv[1:]])
