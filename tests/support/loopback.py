"""A server on this machine that stands for the internet: files over https, a proxy that leads every host to it, and the
parts of Hugging Face's protocol that huggingface_hub uses."""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme


class Answer:
    """What the server sends for one path. `cut`: so many bytes of the body, then it closes the connection."""

    def __init__(self, body: bytes = b"", status: int = 200, cut: int | None = None, **headers: str) -> None:
        self.body, self.status, self.cut = body, status, cut
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Loopback:
    """`answers` by path; `requests` lists the method and path of each request."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.requests: list[tuple[str, str]] = []
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.authority)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "download.pytorch.org", "huggingface.co").configure_cert(self.tls)
        self.https, self.http = self._server(True), self._server(False)

    def _server(self, secure: bool) -> ThreadingHTTPServer:
        loop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                loop.requests.append((self.command, self.path))
                answer = loop.answers.get(self.path, Answer(b"not here", 404))
                answer = answer if isinstance(answer, Answer) else answer()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body[: answer.cut])
                self.close_connection = answer.cut is not None

            do_HEAD = do_GET

            def do_CONNECT(self) -> None:
                loop.requests.append(("CONNECT", self.path))
                self.send_response(200)
                self.end_headers()
                with socket.create_connection(("127.0.0.1", loop.https.server_port), timeout=10) as other:
                    pairs = {self.connection: other, other: self.connection}
                    while ready := select.select([*pairs], [], [], 10)[0]:
                        for one in ready:
                            data = one.recv(1 << 16)
                            if not data:
                                self.close_connection = True
                                return
                            pairs[one].sendall(data)

            def log_message(self, *words: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are expected
        if secure:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def url(self, path: str) -> str:
        return f"https://localhost:{self.https.server_port}{path}"

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def repository(self, id: str, files: dict[str, bytes], commit: str = "c" * 40, revision: str = "main") -> None:
        """Serve files as a repository of Hugging Face: weights by their SHA-256, other files by their hash in git."""
        for name, body in files.items():
            large = name.endswith((".safetensors", ".bin"))
            etag = hashlib.sha256(body) if large else hashlib.sha1(b"blob %d\0" % len(body) + body)
            for at in {revision, commit}:
                self.answers[f"/{id}/resolve/{at}/{name}"] = Answer(
                    body, ETag=f'"{etag.hexdigest()}"', X_Repo_Commit=commit, Accept_Ranges="bytes"
                )

    def missing(self, id: str, *names: str, revision: str = "main") -> None:
        for name in names:
            self.answers[f"/{id}/resolve/{revision}/{name}"] = Answer(status=404, X_Error_Code="EntryNotFound")


@contextmanager
def loopback(folder: Path) -> Iterator[Loopback]:
    server = Loopback(folder)
    try:
        yield server
    finally:
        for one in (server.https, server.http):
            one.shutdown()
            one.server_close()
