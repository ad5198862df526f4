"""The encoder that comes with the package, from package data."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from worlds.texts import SAME

from xlrec import encoders
from xlrec.config.models import EmbedConfig
from xlrec.encoders import shipped
from xlrec.errors import EncoderError


def test_translations_find_each_other_across_scripts() -> None:
    encoder = encoders.load("default")
    english = encoder.encode(SAME["en"])
    right = [np.argmax(encoder.encode(texts) @ english.T, axis=1) == np.arange(4) for texts in SAME.values()]
    assert np.mean(right) > 0.9


def test_it_is_what_the_config_names_where_it_names_none() -> None:
    assert EmbedConfig().encoder == "default"
    assert encoders.load(EmbedConfig()).fingerprint.startswith("default-v1-")


@pytest.mark.parametrize("text", ["ᚠᛇᚻ", "𓀀𓀁", "𐎠𐎡", "⠓⠑", "ꦲꦏ", "🫨🪿"])
def test_a_script_without_tokens_falls_back_to_bytes_and_texts_stay_apart(text: str) -> None:
    encoder = shipped.ShippedEncoder(EmbedConfig())
    tokens = encoder.tokens([text])[0]
    assert "[UNK]" not in tokens
    others = encoder.encode([text, *(other for other in ("ᛒᚩ", "𓂀𓃀𓃁", "𐎢𐎣𐎤", "⠇⠇⠊") if other != text)])
    assert (others[0] @ others[1:].T < 0.999).all()


def test_sentence_transformers_gives_the_same_vectors_from_the_exported_folder(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    shipped.export_folder(tmp_path / "model")
    texts = [text for lines in SAME.values() for text in lines] + ["🎸", "ﾍﾙﾒｯﾄ", "ᚠᛇ", "A  b\tc", "İstanbul"]
    model = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    np.testing.assert_allclose(model.encode(texts), encoders.load("default").encode(texts), atol=1e-5)
    assert "license: cc-by-sa-4.0" in (tmp_path / "model" / "README.md").read_text()


def test_the_package_data_is_small_and_the_card_names_what_it_was_trained_on() -> None:
    assert sum(file.stat().st_size for file in shipped.FOLDER.iterdir()) < 25e6
    card = (shipped.FOLDER / "README.md").read_text()
    for source in ("shopify-product-taxonomy", "open-multilingual-wordnet", "tico-19", "unicode-cldr"):
        assert f"| {source} |" in card
    assert "GPL" not in card.split("## How it was made")[0]
    assert '"/' not in card, "a path of the machine that trained it"


@pytest.mark.parametrize("change", [{"prompt": "query: "}, {"revision": "0" * 40}, {"dim": 4096}])
def test_what_it_cannot_use_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(EncoderError, match=next(iter(change))):
        encoders.load(EmbedConfig.model_validate(change))


def test_a_package_without_weights_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    shipped._digest.cache_clear()
    with pytest.raises(EncoderError, match="is missing: install the package again"):
        encoders.fingerprint("default")
    shipped._digest.cache_clear()


def test_a_copy_of_the_package_works_in_an_empty_folder_without_a_network(tmp_path: Path) -> None:
    """What a wheel holds, somewhere else: only files that the package data names are copied."""
    import shutil
    import tomllib

    root = Path(__file__).resolve().parents[2]
    named = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["xlrec"]
    files = [*(root / "xlrec").rglob("*.py"), *(file for one in named for file in (root / "xlrec").glob(one))]
    for file in files:
        target = tmp_path / "site" / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    (tmp_path / "empty").mkdir()
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "import xlrec.encoders as e\n"
        "v = e.load('default').encode(['red shoes', 'rote Schuhe'])\n"
        "print(e.__file__, v.shape, v.dtype, float(v[0] @ v[1]) > 0.4)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "empty",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert "float32 True" in done.stdout
