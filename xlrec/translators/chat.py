"""Texts of the pivot language by a chat model: one conversation a text, so that none can change another's answer."""

from collections.abc import Sequence
from typing import Protocol

from xlrec.config.models import TranslateConfig
from xlrec.translators import base
from xlrec.translators.answers import check_answer
from xlrec.translators.base import Translation
from xlrec.translators.conversation import (
    Completion,
    Messages,
    cut_text,
    most_written,
    opening_messages,
    second_question,
    text_message,
)


class ChatModel(Protocol):
    """A model in a folder or behind a server."""

    def complete(self, conversations: Sequence[Messages], limits: Sequence[int]) -> list[Completion]:
        """The next message of each conversation, of at most so many tokens; the same whatever the others are."""


class ChatTranslator:
    """Writes texts of many languages in the pivot language."""

    def __init__(self, config: TranslateConfig, pivot: str, model: ChatModel, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._config, self._pivot, self._model = config, pivot, model
        self._opening = opening_messages(config, pivot)

    def translate(self, texts: Sequence[str], languages: Sequence[str]) -> list[Translation]:
        """A translation or description of each text, or the reason why there is none.

        A text whose answer is not valid is asked for again, `retries` times. Tokens are those of all its answers.
        """
        texts = [cut_text(text, self._config.max_tokens) for text in texts]
        asked = [[*self._opening, text_message(*pair)] for pair in zip(texts, languages, strict=True)]
        done = [Translation("", base.NOTHING_WRITTEN)] * len(texts)
        open_rows = [row for row, text in enumerate(texts) if text.strip()]
        for _ in range(1 + self._config.chat.retries):
            limits = most_written([texts[row] for row in open_rows])
            completions = self._model.complete([asked[row] for row in open_rows], limits) if open_rows else []
            again = []
            for row, completion in zip(open_rows, completions, strict=True):
                done[row] = self._checked(completion, texts[row], languages[row], done[row])
                if completion.answer is not None and done[row].reason not in ("", base.UNCHANGED):
                    asked[row] = [*asked[row], *second_question(completion.answer, done[row].reason)]
                    again.append(row)
            open_rows = again
        return done

    def _checked(self, completion: Completion, text: str, language: str, before: Translation) -> Translation:
        if completion.answer is None:
            found = Translation("", completion.reason)
        else:
            found = check_answer(completion.answer, text, language, self._pivot, self._config.chat.style)
        return found._replace(
            read_tokens=before.read_tokens + completion.read_tokens,
            written_tokens=before.written_tokens + completion.written_tokens,
        )
