"""A lake that answers slowly or fails now and then: a proxy before an S3 API."""

import http.client
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

#: Headers that belong to one connection.
_OF_A_HOP: Final = ("transfer-encoding", "connection", "content-length", "server", "date")


class Flaky(ThreadingHTTPServer):
    """Passes requests on; some are refused with 503, some wait a second, some lose their connection."""

    daemon_threads = True

    def __init__(self, address: str, behind: int, shares: dict[str, float]) -> None:
        """Listens from now on.

        Args:
            address: Of this host.
            behind: Port of the API there.
            shares: Of requests that are `refused`, `slow` and `lost`; the others are `passed`.
        """
        super().__init__((address, 0), _Handler)
        self.address, self.behind = address, behind
        shares = shares | {"passed": 1 - sum(shares.values())}
        self.shares, self.counts = shares, dict.fromkeys(shares, 0)
        self._draws, self._lock = random.Random(7), threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def fate(self) -> str:
        """What becomes of the next request."""
        with self._lock:
            (drawn,) = self._draws.choices(list(self.shares), list(self.shares.values()))
            self.counts[drawn] += 1
        return drawn

    def close(self) -> None:
        """No longer listens."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Flaky

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body, fate = self.rfile.read(int(self.headers.get("Content-Length") or 0)), self.server.fate()
        if fate == "lost":
            self.close_connection = True
        elif fate == "refused":
            self._answer(503, [], b"", "0")
        else:
            time.sleep(fate == "slow")
            self._pass_on(body)

    def _pass_on(self, body: bytes) -> None:
        api = http.client.HTTPConnection(self.server.address, self.server.behind)
        api.request(self.command, self.path, body, dict(self.headers))
        found = api.getresponse()
        content = found.read()
        size = found.getheader("Content-Length") if self.command == "HEAD" else None
        self._answer(found.status, found.getheaders(), content, size or str(len(content)))
        api.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, size: str) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OF_A_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", size)
        self.end_headers()
        self.wfile.write(content)
