"""The page in Chromium: its answers are those of ONNX Runtime, and it connects to nothing but its folder.

Set ARCHDSL_ORT_WEB to the folder `dist` of the npm package onnxruntime-web for the tests that run the network.

Tests `serving/web.py`.
"""

from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import archdsl
from archdsl.serving.web import RUNTIME, runtime_files

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None, reason="no Chromium, or no playwright"
)
DIST = os.environ.get("ARCHDSL_ORT_WEB", "")
with_runtime = pytest.mark.skipif(not DIST, reason="ARCHDSL_ORT_WEB is not set")
HOSTILE = "</script><img src=x onerror=\"document.title='broken'\">"
SPEC = """
name: n
input: 3x48x48
preprocess: imagenet
labels: [cat, "dog, brown", LABEL, d, e, f, g]
net:
  c: 3x3 conv 8 /2 bn relu
  p: gap
  fc: fc 7
"""


def network(more: str = "") -> archdsl.Network:
    return archdsl.loads(SPEC.replace("LABEL", json.dumps(HOSTILE)) + more)


@contextmanager
def opened(folder: Path) -> Iterator[Any]:
    """The page in a browser, and all addresses that it asked for as `page.asked`."""
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as play:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        browser.close()
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archdsl.bundle(network(), "web", tmp_path_factory.mktemp("web") / "page", runtime=DIST or None).folder


def test_the_page_names_no_other_address(folder: Path) -> None:
    texts = "".join((folder / name).read_text(encoding="utf-8") for name in ("index.html", "page.js", "page.css"))
    assert not re.findall(r"(?:https?:)?//[a-z]", texts)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', texts)
    assert policy is not None
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy[1].split("; ")}
    assert rules["default-src"] == ["'none'"] and rules["connect-src"] == ["'self'"]
    assert not any("unsafe-inline" in value or "*" in value for values in rules.values() for value in values)


def test_the_runtime_is_two_files(tmp_path: Path) -> None:
    for name in RUNTIME:
        (tmp_path / name).touch()
    assert list(runtime_files(network(), tmp_path)) == [f"runtime/{name}" for name in RUNTIME]
    assert runtime_files(network(), None) == {}


@in_browser
def test_a_page_is_for_pictures(tmp_path: Path) -> None:
    net = archdsl.loads("input: 1x4x8x8\nnet: [3x3x3 conv 2, gap]")
    with pytest.raises(archdsl.ArchError, match=r"the page reads a picture, .* is a volume"):
        archdsl.bundle(net, "web", tmp_path / "web")
    assert not (tmp_path / "web").exists()


def test_a_page_without_the_runtime_says_so(tmp_path: Path) -> None:
    with opened(archdsl.bundle(network(), "web", tmp_path / "page").folder) as page:
        page.get_by_text("see README.md").wait_for()
        assert page.is_disabled("#file")


@in_browser
@with_runtime
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_png_has_the_answers_of_onnx_runtime(mode: str, folder: Path, tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    pixels = np.random.default_rng(0).integers(0, 256, (75, 110, 3), np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "x.png")
    session = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    (want,) = session.run(None, {"pixels": np.asarray(image.convert("RGB"))[None]})
    with opened(folder) as page:
        page.wait_for_selector("#file:enabled")
        page.set_input_files("#file", tmp_path / "x.png")
        page.wait_for_selector("table:visible")
        got, rows = page.evaluate("values"), page.locator("tbody tr").all_inner_texts()
        origin = page.url
        assert all(url.startswith((origin, "blob:", "data:")) for url in page.asked)
        assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went', () => 'refused')") == "refused"
        assert page.title() == "n"
    assert np.abs(np.array(got) - want[0]).max() < 1e-5
    predicted = archdsl.predict(folder / "model.onnx", tmp_path / "x.png", top=5).images[0].classes
    assert [row.split("\t") for row in rows] == [[one.label, f"{100 * one.value:.2f} %"] for one in predicted]


@in_browser
@with_runtime
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_what_the_decoder_may_change(suffix: str, folder: Path, tmp_path: Path) -> None:
    """JPEG and transparent parts: the class is the same, the values nearly."""
    y, x = np.mgrid[:80, :100]
    pixels = np.stack([x * 2, y * 3, x + y, 255 - y], -1).astype(np.uint8)
    image = Image.fromarray(pixels if suffix == "png" else pixels[..., :3])
    image.save(tmp_path / f"x.{suffix}")
    want = archdsl.predict(folder / "model.onnx", tmp_path / f"x.{suffix}", top=1).images[0].classes[0]
    with opened(folder) as page:
        page.wait_for_selector("#file:enabled")
        page.set_input_files("#file", tmp_path / f"x.{suffix}")
        page.wait_for_selector("table:visible")
        label, value = page.locator("tbody tr").first.inner_text().split("\t")
    assert label == want.label and abs(float(value.rstrip(" %")) / 100 - want.value) < 5e-3


@in_browser
@with_runtime
def test_a_file_that_is_no_picture(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    with opened(folder) as page:
        page.wait_for_selector("#file:enabled")
        page.set_input_files("#file", tmp_path / "x.png")
        page.get_by_text("cannot classify it").wait_for()
        assert not page.is_visible("table")
