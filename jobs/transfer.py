"""Transfer: learn where logs are rich, serve where they are scarce, in another market or another language.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/transfer.py --config conf/demo.yaml \
    --from US,DE,FR --to JP
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["transfer", *sys.argv[1:]])
