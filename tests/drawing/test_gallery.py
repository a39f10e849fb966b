"""The gallery shows what `archdsl diagram` draws today."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType
from xml.etree import ElementTree

import pytest

import archdsl
from tests.support.places import ROOT

NUMBER = re.compile(r"\d+(?:\.\d+)?")


def _tool(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


gallery = _tool("gallery")
NAMES = [entry.name for entry in gallery.entries()]


def test_the_page_is_current() -> None:
    page = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
    assert page == gallery.gallery_page(), "run `python tools/docs.py`"
    shown = {f"docs/{src}" for src in re.findall(r'src="([^"]+)"', page)}
    kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / gallery.FOLDER).iterdir()}
    assert shown == kept, "no picture is missing, none is left over"
    assert sum(path.stat().st_size for path in (ROOT / gallery.FOLDER).iterdir()) < 8_000_000


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if k % 5 else []) for k, n in enumerate(NAMES)]
)
def test_pictures_are_current(name: str) -> None:
    """Numbers may differ by a rounding: sums of floats are not the same in every Python."""
    graph = archdsl.load(name).graph
    for style in gallery.styles(graph):
        text = (ROOT / gallery.FOLDER / f"{name}-{style}.svg").read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        if style == "graph":
            assert gallery.dot_mark(graph) in text, "run `python tools/docs.py`"
            continue
        drawn = gallery.drawn(graph, style)
        assert NUMBER.sub("", drawn) == NUMBER.sub("", text), "run `python tools/docs.py`"
        pairs = zip(NUMBER.findall(drawn), NUMBER.findall(text), strict=True)
        assert all(abs(float(a) - float(b)) < 0.021 for a, b in pairs if len(a) < 8), "run `python tools/docs.py`"
