"""The built site in Chromium: its search finds, it needs no other server, and phones show whole pages.

`make site` builds it; without a built site or a browser these tests are skipped.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.places import ROOT

SITE = ROOT / "build" / "site"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="needs the site: make site"),
]


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site below `/archdsl/`, and its page 404 for any path that does not exist, as GitHub does."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix("/archdsl"))

    def send_error(self, code: int, *rest: Any) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write((SITE / "404.html").read_bytes())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[tuple[Any, str, list[str]]]:
    """A page of a browser, the site's address, and the addresses of all requests."""
    api = pytest.importorskip("playwright.sync_api")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    requests: list[str] = []
    with api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = running.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: requests.append(request.url))
        yield page, f"http://127.0.0.1:{server.server_port}/archdsl/", requests
        running.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("E0412", "reference/diagnostics/E0412.html"),
        ("receptive field", "glossary.html"),
        ("dilation", "ops.html"),
        ("how many parameters does my network have", "questions.html"),
        ("feature map", "glossary.html"),
        ("--shard", "reference/cli/predict.html"),
        ("predict_stream", "reference/python/predict_stream.html"),
    ],
)
def test_the_search_finds(query: str, place: str, browser: tuple[Any, str, list[str]]) -> None:
    page, address, _ = browser
    page.goto(f"{address}search.html?q={query}")
    page.wait_for_function("/found|matching/.test(document.querySelector('.search-summary')?.textContent ?? '')")
    page.wait_for_selector("ul.search li a")
    found = page.eval_on_selector_all("ul.search > li > a", "links => links.map(link => link.href)")
    assert any(link.removeprefix(address).partition("?")[0].partition("#")[0] == place for link in found[:10]), found[
        :10
    ]


def test_no_request_leaves_the_site_and_no_page_is_wider_than_a_phone(browser: tuple[Any, str, list[str]]) -> None:
    page, address, requests = browser
    page.set_viewport_size({"width": 390, "height": 800})
    for name in ("index", "language", "library", "gallery", "reference/cli/predict", "reference/python/verify"):
        page.goto(f"{address}{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    assert {urlsplit(url).hostname for url in requests if not url.startswith("data:")} == {"127.0.0.1"}


def test_an_unknown_address_has_a_page(browser: tuple[Any, str, list[str]]) -> None:
    page, address, _ = browser
    page.goto(f"{address}some/old/page.html")
    assert page.text_content("h1").startswith("Page not found")
    assert "sans-serif" in page.evaluate("getComputedStyle(document.body).fontFamily")
    page.click("article a:has-text('first page')")
    page.wait_for_url(f"{address}index.html")
