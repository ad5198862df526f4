"""Adapt the encoder: trains a compact one from parallel texts, or fine-tunes one that exists.

python jobs/adapt_encoder.py --config conf/training/encoder.yaml
spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/adapt_encoder.py --config conf/training/from_lake.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["adapt-encoder", *sys.argv[1:]])
