"""A chat model behind a server with OpenAI's API: several requests at once, patience where it is busy or failing.

The standard library's client is enough for one POST; it takes proxies from the environment as others do.
"""

import json
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from random import Random
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from pydantic import SecretStr

from xlrec.config.models import TranslateConfig
from xlrec.errors import EncoderError
from xlrec.translators import base
from xlrec.translators.conversation import Completion, Messages, estimate_tokens

#: Statuses of a request that is worth sending again.
_BUSY: Final = (408, 409, 425, 429)
#: Statuses of a request that this text alone may be to blame for; others below 500 are the config's fault.
_REFUSED: Final = (400, 413, 422)
#: Longest answer of a server, in bytes.
_MOST_BYTES: Final = 1 << 20
#: Seconds of the first pause and of the longest one; each is about twice the one before.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would take the key elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirect is an HTTPError."""


class Endpoint:
    """A model of a server; its answers are those of temperature 0 and seed 0."""

    def __init__(self, config: TranslateConfig, key: SecretStr | None, n_threads: int) -> None:
        self._config, self._key, self._n_threads = config, key, n_threads
        self._opener: OpenerDirector = build_opener(_NoRedirect, HTTPSHandler(context=ssl.create_default_context()))
        self._answered_at = self._given_up_at = 0.0

    def complete(self, conversations: Sequence[Messages], limits: Sequence[int]) -> list[Completion]:
        """The answer to each conversation, or the server's failure.

        Once a text was given up, and nothing was answered meanwhile, the others are not sent any more.

        Raises:
            EncoderError: the server wants another URL, model or key.
        """
        with ThreadPoolExecutor(self._n_threads) as pool:
            return list(pool.map(self._patient, conversations, limits))

    def check_reachable(self, conversation: Messages) -> None:
        """Sends one conversation, and stops where the server cannot be had; a busy one passes.

        Raises:
            EncoderError: there is no server, or it wants another URL, model, key or request.
        """
        completion, _ = self._once(conversation, 256)
        url = self._config.endpoint
        if completion.reason == base.UNREACHABLE:
            raise EncoderError(f"translate.endpoint: {url} cannot be reached: start the server, or correct the URL")
        if completion.reason == base.REFUSED:
            raise EncoderError(
                f"translate.endpoint: {url} refuses xlrec's requests: set translate.chat.request as the server wants "
                "them, such as {response_format: null}"
            )

    def _patient(self, conversation: Messages, limit: int) -> Completion:
        began, attempt = time.monotonic(), 0
        jitter = Random(conversation[-1]["content"])  # noqa: S311  # no secret: it spreads the pauses
        while True:
            if self._given_up_at > self._answered_at:
                return Completion(None, base.UNREACHABLE)
            completion, wanted_s = self._once(conversation, limit)
            if completion.reason in ("", base.REFUSED):
                self._answered_at = time.monotonic()
                return completion
            pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt) * jitter.uniform(0.75, 1.25)
            attempt += 1
            pause = max(pause, wanted_s)
            if time.monotonic() + pause - began > self._config.chat.patience_s:
                if self._answered_at < began:
                    self._given_up_at = time.monotonic()
                return completion
            time.sleep(pause)

    def _once(self, conversation: Messages, limit: int) -> tuple[Completion, float]:
        """One request, and the seconds that the server wants to be left alone."""
        deadline = time.monotonic() + self._config.chat.timeout_s
        try:
            with self._opener.open(self._request(conversation, limit), timeout=self._config.chat.timeout_s) as response:
                read = b""
                while part := response.read1(1 << 16):
                    read += part
                    if time.monotonic() > deadline:
                        return Completion(None, base.TIMED_OUT), 0.0
                    if len(read) > _MOST_BYTES:
                        return Completion(None, base.SERVER_ERROR), 0.0
                return _completion_of(read, conversation), 0.0
        except HTTPError as error:
            with error:
                return self._failed(error), _wanted_pause(error)
        except TimeoutError:
            return Completion(None, base.TIMED_OUT), 0.0
        except URLError as error:
            timed_out = isinstance(error.reason, TimeoutError)
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise EncoderError(
                    f"translate.endpoint: the certificate of {self._config.endpoint} is not trusted here: add its "
                    "authority to this machine's, or correct the URL"
                ) from None
            return Completion(None, base.TIMED_OUT if timed_out else base.UNREACHABLE), 0.0
        except (OSError, HTTPException):
            return Completion(None, base.UNREACHABLE), 0.0

    def _request(self, conversation: Messages, limit: int) -> Request:
        body: dict[str, Any] = {
            "model": self._config.model, "messages": conversation, "max_tokens": limit, "temperature": 0, "seed": 0,
            "response_format": {"type": "json_object"},
        }  # fmt: skip
        body = {name: value for name, value in (body | self._config.chat.request).items() if value is not None}
        headers = {"Content-Type": "application/json", "User-Agent": "xlrec"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        url = f"{self._config.endpoint}/chat/completions"
        return Request(url, json.dumps(body).encode(), headers)  # noqa: S310  # the config takes http and https alone

    def _failed(self, error: HTTPError) -> Completion:
        """The failure of a text; of the server's words nothing is kept, which may repeat the text."""
        if error.code in _REFUSED:
            return Completion(None, base.REFUSED)
        if error.code in _BUSY:
            return Completion(None, base.BUSY)
        if error.code >= 500:
            return Completion(None, base.SERVER_ERROR)
        key = self._config.chat.key_variable
        remedy = {
            401: f"check the key in {key}" if key else "set translate.chat.key_variable",
            403: f"check the rights of the key in {key}" if key else "set translate.chat.key_variable",
            404: f"check the URL, and that translate.model = {self._config.model} is a name that it knows",
        }.get(error.code, "check the URL")
        raise EncoderError(f"translate.endpoint: {self._config.endpoint} answers with status {error.code}: {remedy}")


def _completion_of(read: bytes, conversation: Messages) -> Completion:
    try:
        body: Any = json.loads(read)
        choice = body["choices"][0]
        answer = str(choice["message"]["content"] or "")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return Completion(None, base.SERVER_ERROR)
    usage = body.get("usage")
    asked = sum(estimate_tokens(len(message["content"].encode())) for message in conversation)
    read_tokens = _count(usage, "prompt_tokens", asked)
    written_tokens = _count(usage, "completion_tokens", estimate_tokens(len(answer.encode())))
    if choice.get("finish_reason") == "length":
        return Completion(None, base.TOO_LONG, read_tokens, written_tokens)
    return Completion(answer, "", read_tokens, written_tokens)


def _count(usage: Any, name: str, otherwise: int) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count >= 0 else otherwise


def _wanted_pause(error: HTTPError) -> float:
    """Seconds of the header Retry-After; 0 where it is absent or a date."""
    wanted = error.headers.get("Retry-After", "")
    return float(wanted) if wanted.strip().isdigit() else 0.0
