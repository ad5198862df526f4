"""The transfer program from outside: what it writes, prints and refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from worlds.demo import night_config

from xlrec.config.loading import validate_config
from xlrec.errors import ConfigError
from xlrec.pipeline import learning
from xlrec.pipeline.transfer import Route, run_transfer
from xlrec.recommenders import factors

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def config(demo, tmp_path_factory):
    quick = {"train": {"factors": {"dim": 16}}, "transfer": {"bootstrap": 50}}
    return validate_config(night_config(demo, tmp_path_factory.mktemp("lake"), **quick))


def test_it_prepares_learns_and_leaves_a_model_that_the_nightly_run_takes(spark, config, capsys) -> None:
    route = Route(("US", "DE"), ("JP",), "market", (0.2,))
    folder = Path(run_transfer(spark, config, route, "conf/x.yaml"))
    facts = factors.model_facts(str(folder))
    assert (facts["transfer"]["from"], facts["transfer"]["to"]) == (["US", "DE"], ["JP"])
    learning.check_encoder(str(folder), config)
    assert "## Transfer" in (folder / "README.md").read_text()
    json.loads((folder / factors.FACTS).read_text(), parse_constant=lambda name: pytest.fail(name))
    shown = capsys.readouterr()
    assert "zero-shot" in shown.out
    assert "xlrec run --config conf/x.yaml" in " ".join(shown.out.split())
    assert "s left" in shown.err
    pages = list(Path(config.lake).glob("_reports/transfer-*.html"))
    assert len(pages) == 1
    assert "From no logs to all" in pages[0].read_text()
    again = Path(run_transfer(spark, config, Route(("en",), ("ja",), "language", (1.0,))))
    assert again != folder
    with pytest.raises(ConfigError, match=r"'XX' is none of the lake's markets with their users with logs: .*US \(\d+"):
        run_transfer(spark, config, Route(("US",), ("XX",), "market"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "DE"), "name a source and a target"),
        (("--from", "DE", "--to-language", "en"), "name a source and a target"),
        (("--from", "DE,JP", "--to", "JP"), "JP is source and target"),
        (("--from", "DE", "--to", "JP", "--shares", "0,5"), "--shares has 0: percent above 0"),
        (("--from", "DE", "--to", "JP", "--shares", "few"), "write percent with commas"),
        (("--from-language", "klingonese", "--to-language", "en"), "no BCP 47 language"),
    ],
)
def test_wrong_arguments_end_with_one_line_before_spark_starts(arguments: tuple[str, ...], said: str, programs) -> None:
    done = programs.job("transfer.py", "--config", str(ROOT / "conf/demo.yaml"), *arguments)
    assert (done.status, done.err.count("\n")) == (2, 1), done.err
    assert said in done.err


def test_the_program_itself_refuses_in_one_line() -> None:
    command = [sys.executable, str(ROOT / "jobs" / "transfer.py"), "--config", str(ROOT / "conf/demo.yaml")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--from", "DE"], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "name a source and a target" in done.stderr
