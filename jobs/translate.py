"""Translate alone: texts into the pivot language, where `unify` is pivot or both.

spark-submit --packages io.delta:delta-spark_4.1_2.13:4.4.0 jobs/translate.py --config conf/demo.yaml
"""

import sys

from xlrec.cli import main

if __name__ == "__main__":
    main(["translate", *sys.argv[1:]])
