"""Chat models in folders: their answers, whatever the batch, and the folders that are refused."""

from pathlib import Path
from typing import Any

import pytest
from worlds.tiny_chat_models import build_chat_model
from worlds.tiny_translators import build_translator

from xlrec import translators
from xlrec.config.models import TranslateConfig
from xlrec.errors import EncoderError
from xlrec.translators.causal import CausalModel
from xlrec.translators.conversation import cut_text, text_message, token_rates

TEXTS = ["Casque de vélo de route", "自行车头盔", "helmet " * 20, "", "!", "ヘルメット", "bike"]


def config_of(folder: Path, **more: Any) -> TranslateConfig:
    chat = {"prompt": "Translate into {pivot}.", **more.pop("chat", {})}
    return TranslateConfig.model_validate({"model": str(folder), "kind": "chat", "chat": chat, **more})


def test_the_answer_of_a_model_is_read_and_its_tokens_are_counted(tmp_path: Path) -> None:
    made = translators.load(config_of(build_chat_model(tmp_path))).translate(TEXTS[:2], ["fr", "zh"])
    assert [one.text for one in made] == ["bike helmet"] * 2
    assert all(one.written_tokens == 4 and one.read_tokens > 10 for one in made)


def test_a_model_that_never_ends_is_stopped(tmp_path: Path) -> None:
    (made,) = translators.load(config_of(build_chat_model(tmp_path, ["bike", "bike"]))).translate(["vélo"], ["fr"])
    assert (made.text, made.reason) == ("", "too_long")


@pytest.mark.parametrize("batch_tokens", [1, 300])
def test_an_answer_does_not_hang_on_the_batch(tmp_path: Path, batch_tokens: int) -> None:
    folder = build_chat_model(tmp_path, None)
    asked, limits = [[text_message(text, "fr")] for text in TEXTS], [40] * len(TEXTS)
    whole = CausalModel(config_of(folder), folder, "cpu").complete(asked, limits)
    small = CausalModel(config_of(folder, batch_tokens=batch_tokens), folder, "cpu")
    assert small.complete(asked, limits) == whole
    assert [small.complete([one], [40])[0] for one in asked] == whole
    assert len({one.answer for one in whole}) > 2, "the world would show a difference"


def test_a_folder_of_another_kind_is_refused_with_the_remedy(tmp_path: Path) -> None:
    chat = build_chat_model(tmp_path / "chat")
    with pytest.raises(EncoderError, match=r"of another kind than translate\.kind says"):
        translators.load(TranslateConfig(model=str(chat)))
    plain = build_chat_model(tmp_path / "plain", template=None)
    with pytest.raises(EncoderError, match="has no chat template"):
        translators.load(config_of(plain))
    m2m100 = build_translator(tmp_path / "m2m100", "m2m100")
    with pytest.raises(EncoderError, match=r"of another kind than translate\.kind says"):
        translators.load(config_of(m2m100))


def test_a_long_text_is_cut_in_whole_characters_before_it_is_sent() -> None:
    assert cut_text("頭盔頭盔", 2) == "頭盔"
    assert cut_text("é" * 10, 1) == "é"
    assert cut_text("short", 100) == "short"


def test_a_description_costs_the_same_whatever_the_texts_length() -> None:
    translation, description = (
        token_rates(TranslateConfig.model_validate({"model": "m", "chat": {"style": style}}), "en")[1]
        for style in ("translation", "description")
    )
    assert translation[1] > 0
    assert description[1] == 0
