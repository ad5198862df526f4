"""Messages to a chat model about one text, and the tokens that they take, by estimate."""

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final, NamedTuple, cast

from xlrec.config.models import TranslateConfig

#: Role and content, in the order of the conversation.
Messages = list[dict[str, str]]

#: UTF-8 bytes of a token of text: three in most alphabets, as many as a Chinese character has.
BYTES_PER_TOKEN: Final = 3
#: Tokens around each message, and of the JSON around a text.
_AROUND: Final = 16
#: Tokens of a description, which hang little on the text's length.
_DESCRIPTION: Final = 64
#: An answer has at most this many times the tokens of its text, and a few.
_GROWTH, _SLACK = 2, 64


class Completion(NamedTuple):
    """A model's answer, or None and the reason why there is none."""

    answer: str | None
    reason: str = ""
    read_tokens: int = 0
    written_tokens: int = 0


@cache
def _prompts() -> dict[str, str]:
    text = resources.files("xlrec.translators").joinpath("prompts.json").read_text(encoding="utf-8")
    return cast("dict[str, str]", json.loads(text))


def prompt_of(config: TranslateConfig, pivot: str) -> str:
    """The instructions to the model: the config's, or those of the style."""
    prompt = config.chat.prompt or _prompts()[config.chat.style]
    return prompt.replace("{pivot}", pivot)


def opening_messages(config: TranslateConfig, pivot: str) -> Messages:
    """The messages before every text: instructions and examples."""
    messages = [{"role": "system", "content": prompt_of(config, pivot)}]
    for example in config.chat.examples:
        messages.append(text_message(example.text, example.language))
        messages.append({"role": "assistant", "content": _as_json({"text": example.answer})})
    return messages


def text_message(text: str, language: str) -> dict[str, str]:
    """The message with a text: JSON, so that no text can pose as a message."""
    return {"role": "user", "content": _as_json({"language": language, "text": text})}


def second_question(answer: str, reason: str) -> Messages:
    """The messages that ask again after an answer that is not valid; of the answer its beginning."""
    complaint = f"This answer is not valid: {reason.replace('_', ' ')}. Answer again with one JSON object."
    return [{"role": "assistant", "content": answer[:500]}, {"role": "user", "content": complaint}]


def cut_text(text: str, max_tokens: int) -> str:
    """The text's beginning of at most so many estimated tokens, in whole characters."""
    return text.encode()[: max_tokens * BYTES_PER_TOKEN].decode(errors="ignore")


def estimate_tokens(n_bytes: int) -> int:
    """Tokens of so many UTF-8 bytes of text."""
    return -(-n_bytes // BYTES_PER_TOKEN)


def token_rates(config: TranslateConfig, pivot: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Estimated tokens that are read, and those that are written: (of every text, of each of its bytes)."""
    opening = opening_messages(config, pivot)
    fixed = sum(estimate_tokens(len(message["content"].encode())) + _AROUND for message in opening)
    written = (_AROUND, 1 / BYTES_PER_TOKEN) if config.chat.style == "translation" else (_DESCRIPTION, 0.0)
    return (fixed + 2 * _AROUND, 1 / BYTES_PER_TOKEN), written


def most_written(texts: Sequence[str]) -> list[int]:
    """The most tokens that the answer to each text may have."""
    return [_GROWTH * estimate_tokens(len(text.encode())) + _SLACK for text in texts]


def _as_json(value: dict[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False)
