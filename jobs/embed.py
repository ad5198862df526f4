"""Embed alone: vectors of the texts that are not in the cache yet.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/embed.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["embed", *sys.argv[1:]])
