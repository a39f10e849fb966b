"""`archdsl watch` as a process: what a browser shows while the spec changes, and what strangers get.

Tests `watching/app.py`, `watching/follow.py`, `watching/server.py` and `cli/watch.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.spec.open import files_of
from archdsl.watching.follow import Followed
from archdsl.watching.server import MAX_CONNECTIONS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None, reason="no Chromium, or no playwright"
)
LIMIT_MS = 30_000
BLOCK = "blocks: {basic: {residual: {c: 3x3 conv 8, d: 3x3 conv 8}}}\n"
BASE = f"{BLOCK}input: 3x32x32\nnet:\n  stem: 3x3 conv 8\n  body: 3 * basic\n  fc: fc 10\n"
SPEC = "extends: ./base.yaml\nname: own\n"


class Served:
    def __init__(self, folder: Path) -> None:
        self.base, self.spec = folder / "base.yaml", folder / "own.yaml"
        self.base.write_text(BASE)
        self.spec.write_text(SPEC)
        command = [sys.executable, "-m", "archdsl", "watch", str(self.spec)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        limit = threading.Timer(120, self.process.kill)
        limit.daemon = True
        limit.start()
        self.address = self.process.stdout.readline().strip()
        parts = urlsplit(self.address)
        assert parts.hostname == "127.0.0.1" and parts.port
        self.port, self.token = parts.port, parts.query.removeprefix("token=")

    @contextmanager
    def opened(
        self, path: str, token: str | None = None, method: str = "GET", **headers: str
    ) -> Iterator[HTTPResponse]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            query = f"?token={self.token if token is None else token}"
            connection.request(method, path + query, headers=headers)
            with closing(connection.getresponse()) as answer:
                yield answer

    def get(self, path: str, token: str | None = None, method: str = "GET", **headers: str) -> HTTPResponse:
        with self.opened(path, token, method, **headers) as answer:
            return answer

    def raw(self, text: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            connection.sendall(text)
            return connection.recv(4096)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("watched"))
    yield server
    if server.process.returncode is None:
        server.process.kill()
        server.process.communicate(timeout=20)


# --- strangers -------------------------------------------------------------------------------------------


def test_a_request_needs_the_token_and_the_host(served: Served) -> None:
    assert len(served.token) >= 32
    assert served.get("/").status == 200
    for token in ("", "x", served.token[:-1], f"{served.token}&token=x"):
        for path in ("/", "/page", "/events", "/none"):
            assert served.get(path, token).status == 403
    for host in ("evil.example", "127.0.0.1", f"evil.example:{served.port}", f"localhost.:{served.port}", "", "a\tb"):
        assert served.get("/page", Host=host).status in (400, 421)
    assert served.get("/page", Host=f"localhost:{served.port}").status == 200
    assert served.get("/page", Origin="http://evil.example").status == 403
    assert served.get("/page", Origin="null").status == 403
    assert served.get("/page", Origin=f"http://127.0.0.1:{served.port}").status == 200


def test_every_response_is_locked(served: Served) -> None:
    for path, token in (("/", None), ("/page", None), ("/none", None), ("/", "wrong")):
        answer = served.get(path, token)
        headers = {name.lower(): value for name, value in answer.getheaders()}
        assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer" and headers["cross-origin-resource-policy"] == "same-origin"
        assert not {"access-control-allow-origin", "set-cookie", "server"} & headers.keys()
    policy = served.get("/").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
    assert served.get("/page").headers["Content-Security-Policy"] == "frame-ancestors 'self'"


@pytest.mark.parametrize(
    "path", ["/../own.yaml", "/%2e%2e/own.yaml", "//etc/passwd", "/page/../../x", "/page%00", "/watch.html"]
)
def test_there_are_no_files(path: str, served: Served) -> None:
    assert served.get(path).status == 404


def test_other_requests(served: Served) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert served.get("/page", method=method).status == 405
    line = f"GET /page?token={served.token} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n".encode()
    assert re.match(rb"HTTP/1.1 4(00|31) ", served.raw(line + b"X: " + b"a" * 50_000 + b"\r\n\r\n"))
    assert b" 400 " in served.raw(b"\x16\x03\x01\x00\xff nonsense\r\n\r\n").splitlines()[0]
    twice = line + f"Host: evil.example:{served.port}\r\n\r\n".encode()
    assert re.match(rb"HTTP/1.1 4(00|21) ", served.raw(twice))
    assert served.get("/page").status == 200


def test_connections_without_a_request_end(served: Served) -> None:
    """Another user of the machine, who has no token, cannot keep the owner out."""
    address = ("127.0.0.1", served.port)
    idle = [socket.create_connection(address, 20) for _ in range(MAX_CONNECTIONS + 1)]
    try:
        idle[0].sendall(b"GET / HTTP/1.1\r\n")
        idle[1].sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
        with idle[-1] as last:
            assert last.recv(10) == b""
        for connection in idle[:-1]:
            while connection.recv(4096):
                pass
    finally:
        for connection in idle:
            connection.close()
    assert served.get("/").status == 200


def test_the_stream_has_the_state(served: Served) -> None:
    with served.opened("/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        state = json.loads(answer.readline().removeprefix(b"data: "))
    assert state == {"version": 1, "errors": "", "spec": str(served.spec)}


# --- a browser -------------------------------------------------------------------------------------------


@in_browser
def test_the_page_follows_the_files_and_keeps_its_place(served: Served) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1100, "height": 800}, reduced_motion="reduce")
        tab.set_default_timeout(LIMIT_MS)
        trouble: list[str] = []
        tab.on("console", lambda message: trouble.append(message.text))
        tab.on("pageerror", lambda problem: trouble.append(str(problem)))
        tab.goto(served.address)
        shown = tab.frame_locator("#page").locator("#drawing")
        shown.get_by_text("conv", exact=False).first.wait_for()
        tab.wait_for_selector("html[data-version='1']", state="attached")
        frame = tab.frames[1]
        frame.click("#zoom-in")
        frame.click("#expand")
        frame.wait_for_function("location.hash.includes('open=')")
        frame.select_option("#style", "volumes")
        zoom = "document.getElementById('drawing').querySelector(':scope > g').getAttribute('transform')"
        before, kept = frame.evaluate(zoom), frame.evaluate("location.hash")
        assert "body" in kept and "style=volumes" in kept

        save(served.spec, f"{SPEC}net:\n  fc: {{out: <img src=x>}}\n")  # broken: the drawing stays
        tab.wait_for_selector("#problem:not([hidden])")
        errors = tab.text_content("#errors")
        assert errors is not None and "error[E0" in errors and f"{served.spec}:4:" in errors and "<img src=x>" in errors
        assert tab.frames[1].evaluate(zoom) == before and tab.title().startswith("\u2717")
        assert not tab.query_selector("#errors *")

        save(served.spec, SPEC)  # mended, then a change of the base
        tab.wait_for_selector("html[data-version='2']", state="attached")
        save(served.base, BASE.replace("fc 10", "fc 77"))
        tab.wait_for_selector("html[data-version='3']", state="attached")
        assert tab.is_hidden("#problem")
        frame = tab.frames[1]
        assert "77" in str(frame.evaluate("document.getElementById('network').textContent"))
        assert frame.evaluate("location.hash") == kept
        assert frame.evaluate(zoom) == before
        assert not trouble, trouble
        browser.close()


def save(path: Path, text: str) -> None:
    """Save as editors do: a new file in place of the old one."""
    other = path.with_suffix(".tmp")
    other.write_text(text)
    os.replace(other, path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_it(served: Served) -> None:
    """The last test of the server."""
    with served.opened("/events") as stream:
        stream.readline()
        served.process.send_signal(signal.SIGINT)
        out, err = served.process.communicate(timeout=20)
    assert (served.process.returncode, out, err) == (0, "", "")


# --- the spec --------------------------------------------------------------------------------------------


def test_a_broken_version_keeps_the_page_and_its_files(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    path = tmp_path / "own.yaml"
    path.write_text(SPEC)
    followed = Followed(str(path), {}, None)
    followed.read()
    page, files = followed.page, followed.files
    assert (followed.version, followed.errors) == (1, "") and files == {path.resolve(), tmp_path / "base.yaml"}
    path.write_text("net: [")
    followed.read()
    assert (followed.version, followed.page, followed.files) == (1, page, files) and "E0101" in followed.errors
    path.unlink()
    followed.read()
    assert "E0114" in followed.errors and followed.page == page


def test_the_files_of_a_spec(tmp_path: Path) -> None:
    inside = tmp_path / "a"
    inside.mkdir()
    (tmp_path / "out.yaml").write_text(BASE)
    for name, base in (("one", "./two.yaml"), ("two", "./one.yaml"), ("three", "../out.yaml"), ("four", "resnet18")):
        (inside / f"{name}.yaml").write_text(f"extends: {base}\n")
    names = [[path.name for path in files_of(str(inside / f"{name}.yaml"))] for name in ("one", "three", "four")]
    assert names == [["one.yaml", "two.yaml"], ["three.yaml"], ["four.yaml", "resnet50.yaml"]]
    assert files_of("-") == files_of(str(tmp_path / "none.yaml"))[1:] == []


def test_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(ArchError, match="E0003"):
        Followed("-", {}, None)
    with pytest.raises(ArchError, match="E0205"):
        Followed("net.onnx", {}, None)
    with pytest.raises(ArchError, match="E0114"):
        Followed(str(tmp_path / "none.yaml"), {}, None)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        done = CliRunner().invoke(main, ["watch", "lenet5", "--port", str(busy.getsockname()[1])])
    assert done.exit_code == 2 and "error[E0895]" in done.stderr
    assert CliRunner().invoke(main, ["watch", "lenet5", "--port", "65536"]).exit_code == 2
