# xlrec: make run, make test, make check; `make help` lists the targets.
# VENV names the virtual environment, to use one that exists: make test VENV=/path/to/venv
VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
# This checkout's code, also where VENV is shared with another one.
XLREC := $(BIN)/python -m xlrec.cli
STAMP := $(VENV)/.xlrec-installed
DEMO := .cache/demo
SPARKS ?= 4.2.1
ENCODERS ?= default teacher
BENCH_JSON ?= .cache/bench/encoders.json
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: help setup run demo evaluate bench bench-night bench-ann bench-gpu bench-scale bench-encoders bench-quality pages test test-cluster test-versions unit quick coverage check format constraints schema clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

$(STAMP): pyproject.toml conf/constraints.txt
	@command -v java >/dev/null || [ -n "$${JAVA_HOME:-}" ] || { echo "Java is missing: install a JDK or JRE 17, or set JAVA_HOME" >&2; exit 4; }
	@[ -w . ] || { echo "no write permission in $$PWD: clone the repo where you may write" >&2; exit 4; }
	@if [ ! -x $(BIN)/python ]; then \
	  command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11, or name one: make run PYTHON=/path/to/python3.11" >&2; exit 4; }; \
	  $(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"$(PYTHON) is Python {v[0]}.{v[1]}: xlrec needs 3.11 or 3.12; name one with PYTHON=")' || exit 4; \
	  echo "making the virtual environment $(VENV)"; $(PYTHON) -m venv $(VENV); \
	fi
	@echo "installing the pinned dependencies into $(VENV) (once; torch alone takes 5 GB)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c conf/constraints.txt -e '.[local,dev,translate]'
	@touch $(STAMP)

setup: $(STAMP)  ## make the virtual environment and install the pinned dependencies

$(DEMO)/demo.json: $(STAMP)
	$(XLREC) demo $(DEMO)

demo: $(DEMO)/demo.json  ## write the demo world

run: $(DEMO)/demo.json  ## set up, write the demo world, run the nightly job on it, show lists and metrics; then a market with no logs
	$(XLREC) run --config conf/demo.yaml --evaluate
	$(XLREC) transfer --config conf/demo.yaml --from US,DE,FR,BR,IN,AE --to JP

evaluate: $(DEMO)/demo.json  ## time split, metrics and baselines on the demo world
	$(XLREC) evaluate --config conf/demo.yaml

bench: $(STAMP)  ## speed beside peers: ratios of interleaved runs on one thread, each beside its aim
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c conf/constraints.txt -e '.[local,dev,translate,bench]'
	$(BIN)/python tests/bench/kernel.py --rounds 2 --json .cache/bench/kernel.json
	$(BIN)/python tests/bench/retrieval.py --rounds 1 --json .cache/bench/retrieval.json
	$(BIN)/python tests/bench/embedding.py --rounds 1 --json .cache/bench/embedding.json
	$(BIN)/python tests/bench/pages.py

bench-night: $(STAMP)  ## the whole night of a million users beside the bare product of its pairs: half an hour and more
	$(BIN)/python tests/bench/night.py --json .cache/bench/night.json
	$(BIN)/python tests/bench/pages.py

bench-ann: $(STAMP)  ## the approximate first pass beside the exact one, at 200,000 and a million items
	$(BIN)/python tests/bench/approximate.py --json .cache/bench/approximate.json
	$(BIN)/python tests/bench/pages.py

bench-gpu: $(STAMP)  ## on a GPU: the search beside torch, faiss and the limit of memory, an encoder beside the peak
	$(BIN)/python tests/bench/gpu.py --json .cache/bench/gpu.json
	$(BIN)/python tests/bench/pages.py

bench-scale: $(DEMO)/demo.json  ## on paper: bytes, memory and time of clusters of up to 64 machines, into conf/README.md
	$(BIN)/python tests/bench/scale.py conf/demo.yaml --write

bench-encoders: $(STAMP)  ## compare encoders: make bench-encoders DATA=/path/to/parallel_texts ENCODERS="default FOLDER"
	$(BIN)/python tests/bench/encoders.py $(ENCODERS) $(if $(DATA),--data $(DATA)) --json $(BENCH_JSON)
	$(BIN)/python tests/bench/pages.py

pages: $(STAMP)  ## write the benches' figures in .cache/bench into the pages, and the README's short tables
	$(BIN)/python tests/bench/pages.py

bench-quality: $(STAMP)  ## lists beside tuned peers, and bars: make bench-quality ML=ml-latest-small SHOPS=FILE WORLDS="DIR DIR" (any of them)
	@[ -n "$(ML)$(SHOPS)$(WORLDS)" ] || { echo "name data: ML=/path/to/ml-latest-small, SHOPS=/path/to/interactions.parquet, WORLDS=\"DIR DIR\" (tests/bench/world_lists.py and shops.py say what they hold)" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c conf/constraints.txt -e '.[local,dev,translate,bench]'
	@mkdir -p .cache/bench
	[ -z "$(WORLDS)" ] || $(BIN)/python tests/bench/world_lists.py $(WORLDS) --json .cache/bench/quality-1-worlds.json
	[ -z "$(WORLDS)" ] || $(BIN)/python tests/bench/list_costs.py $(firstword $(WORLDS))/lake $(firstword $(WORLDS))/truth/holdout --json .cache/bench/quality-5-lists.json
	[ -z "$(SHOPS)" ] || $(BIN)/python tests/bench/shops.py $(SHOPS) --shares 0.01 0.05 0.2 --json .cache/bench/quality-2-shops.json
	[ -z "$(ML)" ] || [ -d .cache/movielens/catalog ] || $(XLREC) import movielens $(ML) .cache/movielens
	[ -z "$(ML)" ] || $(XLREC) evaluate --config conf/movielens.yaml --set 'evaluate.baselines=["text"]'
	[ -z "$(ML)" ] || $(BIN)/python tests/bench/quality.py .cache/movielens/lake --json .cache/bench/quality-3-movielens.json
	[ -d .cache/demo-16000/catalog ] || $(XLREC) demo .cache/demo-16000 --users 16000
	sed s,.cache/demo/,.cache/demo-16000/, conf/demo.yaml > .cache/demo-16000/demo.yaml
	$(XLREC) evaluate --config .cache/demo-16000/demo.yaml --set 'evaluate.baselines=["text"]'
	$(BIN)/python tests/bench/quality.py .cache/demo-16000/lake --json .cache/bench/quality-4-demo.json
	$(BIN)/python tests/bench/pages.py

test: $(STAMP)  ## the whole suite, as two processes
	$(BIN)/python tests/run_all.py --durations=25 --durations-min=1

test-cluster: $(STAMP)  ## nights on hosts that share no disk, on HDFS and S3, with machines that die: half an hour, as root
	$(BIN)/python -m pytest tests/jobs/cluster -m soak

test-versions: $(STAMP)  ## the night on the newest Spark of each other minor version that xlrec takes: make test-versions SPARKS="4.2.1"
	for spark in $(SPARKS); do \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .cache/versions/$$spark pyspark==$$spark; \
	  PYTHONPATH=.cache/versions/$$spark $(BIN)/python -m pytest tests/jobs/test_night.py tests/jobs/test_submit.py tests/spark/test_cluster.py; \
	done

unit: $(STAMP)  ## the tests that start no JVM
	$(BIN)/python -m pytest tests/unit tests/contracts

quick: $(STAMP)  ## the tests that start no JVM, without the slow ones
	$(BIN)/python -m pytest tests/unit tests/contracts -m 'not slow and not soak'

coverage: $(STAMP)  ## the tests that start no JVM, with the lines that none of them reaches
	$(BIN)/python -m pytest tests/unit tests/contracts --cov=xlrec --cov-report=term-missing:skip-covered

check: $(STAMP)  ## lint and types
	$(BIN)/ruff format --check xlrec jobs tests
	$(BIN)/ruff check xlrec jobs tests
	$(BIN)/mypy

format: $(STAMP)  ## format the code
	$(BIN)/ruff format xlrec jobs tests
	$(BIN)/ruff check --fix xlrec jobs tests

schema: $(STAMP)  ## write conf/schema.json, which editors use to complete and check a config, and the fields in conf/README.md
	$(XLREC) schema > conf/schema.json
	$(BIN)/python tests/contracts/fields.py

constraints: $(STAMP)  ## write conf/constraints.txt from what is installed
	@{ head -1 conf/constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | grep -v '@' | LC_ALL=C sort -f; } > conf/constraints.new
	@mv conf/constraints.new conf/constraints.txt

clean:  ## remove the demo world and its lake
	rm -rf $(DEMO)
