"""A chat server in this process that misbehaves on purpose, as each text tells it to."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Status, body and further headers of an answer.
Reply = tuple[int, bytes, dict[str, str]]
KEY = "sk-secret-of-the-tests"


def completion(content: Any, **more: Any) -> bytes:
    """The body of an answer with this content."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return json.dumps({"choices": [{"message": {"content": content}, **more}], "usage": usage}).encode()


def as_answer(text: str) -> bytes:
    return completion(json.dumps({"text": text}))


def in_english(text: str) -> str:
    """A translation as a good server would write it: always the same for one text."""
    return f"the item named {len(text)} and {sum(map(ord, text)) % 997}"


class ChatServer:
    """What a text starts with names the fault; others are answered well. Requests are kept, and counted by text."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.sent: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        #: Status of every request; 200: as the text says.
        self.status = 200

    def reply(self, request: dict[str, Any]) -> Reply:
        """The answer to a request, by its newest text."""
        texts = [m["content"] for m in request["messages"] if m["role"] == "user" and m["content"].startswith("{")]
        text = json.loads(texts[-1])["text"]
        with self.lock:
            self.sent[text] += 1
            n_sent = self.sent[text]
        if self.status != 200:
            return self.status, text.encode(), {"Location": "http://elsewhere.invalid/"}
        fault, _, _ = text.partition(":")
        return FAULTS.get(fault, lambda *_: (200, as_answer(in_english(text)), {}))(text, n_sent)


def _slow(text: str, n_sent: int) -> Reply:
    time.sleep(3.0 if n_sent == 1 else 0.0)
    return 200, as_answer(in_english(text)), {}


def _first(status: int, headers: dict[str, str]) -> Callable[[str, int], Reply]:
    """A fault of the first request alone."""
    return lambda text, n: (status, b"{}", headers) if n == 1 else (200, as_answer(in_english(text)), {})


def _content(content: Any) -> Callable[[str, int], Reply]:
    return lambda _text, _n: (200, completion(content), {})


FAULTS: dict[str, Callable[[str, int], Reply]] = {
    "slow": _slow,
    "busy once": _first(429, {"Retry-After": "1"}),
    "broken once": _first(500, {}),
    "bad json once": lambda text, n: (200, completion("Sure!") if n == 1 else as_answer(in_english(text)), {}),
    "always broken": lambda *_: (500, b"oops", {}),
    "no completion": lambda *_: (200, b"<html>", {}),
    "refused": lambda text, _n: (400, text.encode(), {}),
    "chatter": _content("Sure! Here is the translation."),
    "list": _content('["helmet"]'),
    "other keys": _content('{"text": "helmet", "note": "I was told to"}'),
    "number": _content('{"text": 7}'),
    "null": _content(None),
    "empty": _content('{"text": " "}'),
    "bell": _content('{"text": "helmet\\u0007"}'),
    "endless": _content(json.dumps({"text": "helmet " * 2000})),
    "cut off": lambda *_: (200, completion('{"text": "hel', finish_reason="length"), {}),
    "fenced": _content('```json\n{"text": "a helmet for the road"}\n```'),
    "echo": lambda text, _n: (200, as_answer(text), {}),
    "in japanese": _content('{"text": "ヘルメット"}'),
    "in french": _content('{"text": "Un casque bien ventilé pour de longues sorties sur la route"}'),
}


@contextmanager
def serving_chat() -> Iterator[ChatServer]:
    """A server on this machine, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with served.lock:
                served.at_once += 1
                served.most_at_once = max(served.most_at_once, served.at_once)
            try:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                served.requests.append(request)
                served.keys.append(self.headers.get("Authorization"))
                status, body, headers = served.reply(request) if self.path == "/v1/chat/completions" else (404, b"", {})
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # the client has left
                pass
            finally:
                with served.lock:
                    served.at_once -= 1

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = ChatServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
