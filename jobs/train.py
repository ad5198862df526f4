"""Train alone: co-visitation, popularity and the item index.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/train.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
