"""Languages of texts among those that a catalogue states."""

import pytest

from xlrec.kernels.text.detection import detect_language, language_differs

STATED = ("am", "ar", "de", "en", "es", "fr", "hi", "ja", "ko", "pt", "ru", "tr", "zh", "zh-Hant")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Panier orthopédique pour chien, housse lavable", "fr"),
        ("Orthopedic dog bed with washable cover", "en"),
        ("красный чайник", "ru"),
        ("قهوة عربية", "ar"),
        ("무선 마우스", "ko"),
        ("Nike の靴", "ja"),
        ("SONY WH-1000XM5 ヘッドホン", "ja"),
        ("记忆棉托住关节，老年犬睡得踏实", "zh"),
        ("記憶棉托住關節，老年犬睡得踏實", "zh-Hant"),
        ("አማርኛ ቡና", "am"),  # lingua has no Amharic: its script tells
        ("東京", "und"),  # as good in Chinese and Japanese
        ("Ελλάδα", "und"),  # Greek is not stated
        ("iPhone 15 Pro", "und"),
        ("12345 !!", "und"),
        ("", "und"),
    ],
)
def test_script_and_words_tell_the_language_or_it_stays_unknown(text: str, language: str) -> None:
    assert detect_language(text, STATED) == language


def test_only_stated_languages_are_found() -> None:
    assert detect_language("Panier orthopédique pour chien", ("de", "en")) != "fr"
    assert detect_language("красный чайник", ("de", "en")) == "und"
    assert detect_language("東京タワーの写真", ("en", "zh")) == "und"


def test_a_single_language_of_the_script_is_the_answer() -> None:
    assert detect_language("Serbisches auf Latein", ("ru", "sr-Latn")) == "sr-Latn"
    assert detect_language("珈琲", ("en", "ja")) == "ja"


def test_of_languages_that_lingua_does_not_know_none_is_guessed() -> None:
    assert detect_language("Bo día a todos", ("gl", "oc")) == "und"


def test_a_catalogue_that_states_none_may_be_in_any() -> None:
    assert detect_language("Panier orthopédique pour chien, housse lavable et confortable", ()) == "fr"
    assert detect_language("красный чайник для кухни", ()) == "ru"


@pytest.mark.parametrize(
    ("text", "stated", "expected"),
    [
        ("Der schnelle braune Fuchs springt über den faulen Hund", "en", True),
        ("Der schnelle braune Fuchs springt über den faulen Hund", "de", False),
        ("Steel kettle with a wooden handle, 2 litres", "ja", True),
        ("木製の取っ手が付いたステンレス製のやかん、二リットル", "en", True),
        ("木製の取っ手が付いたステンレス製のやかん、二リットル", "ja", False),
        ("Tee", "en", False),
        ("Chaleira de aceiro con mango de madeira para o fogón", "gl", False),
    ],
)
def test_another_language_than_stated_is_told_only_where_it_is_sure(text: str, stated: str, expected: bool) -> None:
    assert language_differs(text, stated, ("de", "en", "gl", "ja", "pt")) is expected
