"""Similarity: the most similar right rows of every left row, for tables of texts of any size and language.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/similarity.py \
    --left a.parquet --right b.parquet --k 5 --other-language-only --out pairs
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["similarity", *sys.argv[1:]])
