"""Archives that travel: what is in them, and what they replace."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from worlds.choices import write_copy
from worlds.parallel_texts import settings, write_world
from worlds.tiny_models import build_encoder

from xlrec import encoders
from xlrec.errors import ConfigError, MachineError
from xlrec.runtime.files import replaced_folder
from xlrec.training.encoder import AdaptConfig
from xlrec.training.encoder.distributed import config_on_executor, local_inputs
from xlrec.training.encoder.texts import read_texts
from xlrec.training.executors import pack_archive, require_replaceable


def config(folder: Path, **changes: Any) -> AdaptConfig:
    return AdaptConfig.model_validate(settings(folder, mode="finetune") | changes)


def test_a_config_finds_on_another_machine_all_that_it_names(tmp_path: Path) -> None:
    write_world(tmp_path / "texts", n_concepts=50)
    rows = {"item_id": ["a", "a"], "language": ["en", "xx"], "text": ["one", "two"]}
    write_copy(tmp_path / "copy", rows, [("a", "a")], "lake-texts")
    model = build_encoder(tmp_path / "base", "bert-mean")
    lake = {"folder": "s3a://bucket/lake", "copied": str(tmp_path / "copy")}
    driver = config(
        tmp_path,
        finetune={"model": str(model)},
        texts={"path": str(tmp_path / "texts" / "world.parquet"), "lake": lake},
    )
    inner = pack_archive(tmp_path / "all.zip", local_inputs(driver))
    there = tmp_path / "there"
    zipfile.ZipFile(tmp_path / "all.zip").extractall(there)
    found = config_on_executor(driver, {name: f"{there}/{one}" for name, one in inner.items()}, "/own")
    assert (found.output, found.work) == ("/own/output", "/own/work")
    assert str(tmp_path / "base") not in found.model_dump_json()
    assert found.texts.path == f"{there}/texts/world.parquet"  # whose name is the source of its rows
    assert read_texts(found.texts).text.equals(read_texts(driver.texts).text)
    assert found.finetune is not None
    there_and_here = [encoders.load(folder).encode(["bike"]) for folder in (found.finetune.model, str(model))]
    assert (there_and_here[0] == there_and_here[1]).all()


def test_what_the_driver_lacks_is_looked_for_by_its_name(tmp_path: Path) -> None:
    driver = config(tmp_path, finetune={"model": "/of/the/image"})
    assert local_inputs(driver) == {}
    assert config_on_executor(driver, {}, "/own").finetune == driver.finetune


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "modules.json").write_text("old")
    (target / "left").write_text("old")

    def torn() -> None:
        with replaced_folder(target) as new:
            (new / "weights").write_text("new")
            raise ValueError("half of it came")

    with pytest.raises(ValueError, match="half"):
        torn()
    assert sorted(one.name for one in target.iterdir()) == ["left", "modules.json"]
    with replaced_folder(target) as new:
        (new / "weights").write_text("new")
        assert sorted(one.name for one in target.iterdir()) == ["left", "modules.json"]
    assert [one.name for one in target.iterdir()] == ["weights"]
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_only_an_older_model_or_nothing_is_replaced(tmp_path: Path) -> None:
    require_replaceable(tmp_path / "absent", "modules.json")
    require_replaceable(tmp_path, "modules.json")  # empty
    (tmp_path / "diary").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds no modules.json, so it is not replaced"):
        require_replaceable(tmp_path, "modules.json")
    (tmp_path / "modules.json").write_text("[]")
    require_replaceable(tmp_path, "modules.json")
    with pytest.raises(MachineError, match=r"nothing can be written beside .* is a file"):
        require_replaceable(tmp_path / "diary" / "model", "modules.json")
