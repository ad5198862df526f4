"""Translators: small random models of the three families, and what each is told of languages."""

from pathlib import Path

import pytest
from worlds.tiny_translators import LANGUAGES, build_translator

from xlrec import translators
from xlrec.config.models import TranslateConfig
from xlrec.errors import ConfigError, EncoderError
from xlrec.translators.languages import m2m100_code, marian_codes, nllb_code
from xlrec.translators.seq2seq import join, split_sentences

TEXTS = ["Casque de vélo de route", "自行车头盔", "helmet " * 30, "", "bike. helmet bike!\nroad", "ヘルメット"]
TAGS = ["fr", "zh", "de", "fr", "de", "ja"]


def written(translator: translators.Translator, texts: list[str], tags: list[str]) -> list[str]:
    return [made.text for made in translator.translate(texts, tags)]


@pytest.fixture(scope="module", params=sorted(LANGUAGES))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_translator(tmp_path_factory.mktemp(f"{request.param}x"), request.param)


def test_translations_are_those_of_transformers_own_generate(model: Path) -> None:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model))
    plain = AutoModelForSeq2SeqLM.from_pretrained(str(model)).eval()
    named = {"m2m100": ("__fr__", "__en__"), "nllb": ("fra_Latn", "eng_Latn"), "marian": (">>eng<<", None)}
    kind = next(
        name for name in (*named, "marian-pair") if model.name.startswith(name) and model.name[len(name)] != "-"
    )
    first, forced = named.get(kind, (None, None))
    text = "Casque de vélo"
    ids = tokenizer(f"{first} {text}" if first else text, add_special_tokens=False)["input_ids"] + [2]
    more = {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(forced)} if forced else {}
    length = 8 if len(ids) <= 8 else 16
    made = plain.generate(torch.tensor([ids]), num_beams=1, do_sample=False, max_new_tokens=2 * length + 16, **more)
    own = " ".join(tokenizer.decode(made[0], skip_special_tokens=True).split())
    assert own
    assert written(translators.load(TranslateConfig(model=str(model))), [text], ["fr"]) == [own]


@pytest.mark.parametrize(("batch_tokens", "beams"), [(1, 1), (200, 3)])
def test_a_translation_does_not_hang_on_the_batch(model: Path, batch_tokens: int, beams: int) -> None:
    config = TranslateConfig(model=str(model), beams=beams)
    whole = written(translators.load(config), TEXTS, TAGS)
    small = translators.load(config.model_copy(update={"batch_tokens": batch_tokens}))
    assert written(small, TEXTS, TAGS) == whole
    assert [written(small, [text], [tag])[0] for text, tag in zip(TEXTS, TAGS, strict=True)] == whole
    assert whole[3] == ""
    assert all(whole[num] for num in (0, 1, 2))


def test_the_source_language_counts_where_the_model_is_told_it(tmp_path: Path) -> None:
    for kind in ("m2m100", "nllb"):
        found = translators.load(TranslateConfig(model=str(build_translator(tmp_path / kind, kind))))
        german, french, unknown = found.translate(["bike helmet"] * 3, ["de", "fr", "sw"])
        assert german.text != french.text
        assert unknown == ("", "unread_language", 0, 0), "a language that the model does not read has no translation"


def test_another_pivot_gives_another_translation_and_one_that_it_cannot_write_is_refused(model: Path) -> None:
    config = TranslateConfig(model=str(model))
    if model.name.startswith("marian-pair"):
        pytest.skip("its one target is its own")
    french = translators.load(config.model_copy(update={"pivot": "fr"}))
    assert written(french, ["bike helmet"], ["de"]) != written(translators.load(config), ["bike helmet"], ["de"])
    with pytest.raises(EncoderError, match="no language"):
        translators.load(config.model_copy(update={"pivot": "und"}))
    if not model.name.startswith("marian"):
        with pytest.raises(EncoderError, match="has no token for ko"):
            translators.load(config.model_copy(update={"pivot": "ko"}))


def test_a_marian_pair_reads_and_writes_what_its_tokenizer_states(tmp_path: Path) -> None:
    folder = build_translator(tmp_path, "marian-pair", source_lang="de", target_lang="en")
    config = TranslateConfig(model=str(folder))
    german, french = written(translators.load(config), ["bike helmet"] * 2, ["de", "fr"])
    assert german
    assert french == ""
    with pytest.raises(EncoderError, match=r"translates into en, not into translate\.pivot = fr"):
        translators.load(config.model_copy(update={"pivot": "fr"}))


def test_the_fingerprint_names_weights_and_search_but_not_how_work_is_cut(tmp_path: Path) -> None:
    config = TranslateConfig(model=str(build_translator(tmp_path / "one", "marian")))
    other = TranslateConfig(model=str(build_translator(tmp_path / "two", "marian", seed=1)))
    plain = translators.fingerprint(config)
    assert translators.fingerprint(other) != plain
    assert translators.fingerprint(config.model_copy(update={"beams": 2})) != plain
    assert translators.fingerprint(config.model_copy(update={"batch_tokens": 7, "texts_per_task": 3})) == plain


def test_a_pivot_that_is_no_language_is_refused() -> None:
    assert translators.pivot_of(TranslateConfig(pivot="en-US")) == "en"
    with pytest.raises(ConfigError, match=r"translate\.pivot is 'xx-nonsense'"):
        translators.pivot_of(TranslateConfig(pivot="xx-nonsense"))


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"translate\.model is not set"):
        translators.load(TranslateConfig())
    with pytest.raises(EncoderError, match=r"translate\.model: .*needs translate\.revision"):
        translators.load(TranslateConfig(model="owner/name"))
    folder = build_translator(tmp_path / "broken", "marian")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(EncoderError, match=r"translate\.model: transformers cannot read") as caught:
        translators.load(TranslateConfig(model=str(folder)))
    assert "\n" not in str(caught.value)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"pytorch_model\.bin is a pickle"):
        translators.load(TranslateConfig(model=str(folder)))


@pytest.mark.parametrize(
    ("tag", "m2m100", "nllb", "marian"),
    [
        ("en", "en", "eng_Latn", "eng"),
        ("de", "de", "deu_Latn", "deu"),
        ("zh", "zh", "zho_Hans", "zho"),
        ("zh-Hant", "zh", "zho_Hant", "zho"),
        ("ja", "ja", "jpn_Jpan", "jpn"),
        ("ko", "ko", "kor_Hang", "kor"),
        ("ar", "ar", "arb_Arab", "ara"),
        ("fa", "fa", "pes_Arab", "fas"),
        ("nb", "no", "nob_Latn", "nob"),
        ("fil", "tl", "tgl_Latn", "fil"),
        ("ms", "ms", "zsm_Latn", "msa"),
        ("sr", "sr", "srp_Cyrl", "srp"),
        ("he", "he", "heb_Hebr", "heb"),
        ("th", "th", "tha_Thai", "tha"),
    ],
)
def test_language_codes_of_each_family(tag: str, m2m100: str, nllb: str, marian: str) -> None:
    assert (m2m100_code(tag), nllb_code(tag), marian_codes(tag)[0]) == (m2m100, nllb, marian)


def test_every_nllb_code_that_is_made_is_one_that_the_tokenizer_of_transformers_knows() -> None:
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    tags = "en de fr es it pt nl sv da nb fi et lv lt pl cs sk sl hr sr bg ru uk el tr ar fa he hi bn ta te ur th vi"
    tags += " id ms zh zh-Hant ja ko fil sw ro hu ca af sq mn ne uz ka hy az kk km lo my si am ga cy eu gl is mt mk bs"
    assert not [tag for tag in tags.split() if nllb_code(tag) not in FAIRSEQ_LANGUAGE_CODES]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three", [["One.", "Two!", "Three"]]),
        ("Helmet 2.5 kg\nLight. Safe.", [["Helmet 2.5 kg"], ["Light.", "Safe."]]),
        ("头盔。轻便！", [["头盔。", "轻便！"]]),
        ("", [[]]),
        ("a\n\nb", [["a"], [], ["b"]]),
    ],
)
def test_texts_are_cut_at_sentence_ends_and_lines(text: str, parts: list[list[str]]) -> None:
    assert split_sentences(text) == parts
    assert join(split_sentences("One. Two!\nThree")) == "One. Two!\nThree"
