"""Event weights: what a view, a click or a purchase is worth, learnt on the inner split; prints a line of config.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/event_weights.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["event-weights", *sys.argv[1:]])
