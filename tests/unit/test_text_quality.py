"""The note on texts that tell less than they should: languages that the encoder was not trained on."""

from collections import Counter

from xlrec.pipeline import quality

TEXTS = Counter({"en": 90, "zh-TW": 5, "sv": 3, "und": 2, "fi": 2, "da": 1, "nb": 1})


def note(trained_on: tuple[str, ...]) -> str:
    counts = {kind: Counter[str]() for kind in quality.COUNTED}
    return quality._note(counts | {"texts": TEXTS, "untrained": quality._untrained(TEXTS, trained_on)})


def test_languages_that_the_encoder_was_not_trained_on_are_counted_and_named_those_with_most_texts_first() -> None:
    assert quality._untrained(TEXTS, ("en", "zh")) == {"sv": 3, "fi": 2, "da": 1, "nb": 1}
    seen = "7 of 104 texts in 4 languages that the encoder was not trained on (sv, fi, da, …): name another encoder"
    assert note(("en", "zh")).startswith(seen)


def test_nothing_is_said_where_it_knows_them_all() -> None:
    assert note(("en", "zh", "sv", "fi", "da", "nb")) == ""
