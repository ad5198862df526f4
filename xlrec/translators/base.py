"""Translations, and the reasons for which a text has none."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

#: Reasons of a model: the same text gets no translation tomorrow either.
UNREAD_LANGUAGE: Final = "unread_language"
NOTHING_WRITTEN: Final = "nothing_written"
NOT_JSON: Final = "not_json"
WRONG_KEYS: Final = "wrong_keys"
TOO_SHORT: Final = "too_short"
TOO_LONG: Final = "too_long"
CONTROL_CHARACTERS: Final = "control_characters"
WRONG_LANGUAGE: Final = "wrong_language"
UNCHANGED: Final = "unchanged"
#: Reasons of a server: the text is sent again on the next night.
UNREACHABLE: Final = "unreachable"
TIMED_OUT: Final = "timed_out"
BUSY: Final = "busy"
SERVER_ERROR: Final = "server_error"
REFUSED: Final = "refused"
PASSING: Final = (UNREACHABLE, TIMED_OUT, BUSY, SERVER_ERROR, REFUSED)


class Translation(NamedTuple):
    """A text in the pivot language, or '' and the reason why there is none."""

    text: str
    reason: str = ""
    read_tokens: int = 0
    written_tokens: int = 0


class Translator(Protocol):
    """Translator into one pivot language."""

    @property
    def fingerprint(self) -> str:
        """Identity of its translations."""

    def translate(self, texts: Sequence[str], languages: Sequence[str]) -> list[Translation]:
        """A translation of each text, each of a canonical BCP 47 language; none hangs on its neighbours."""
