"""The interactive page: what its data says, that nothing can break out of it, and how it behaves in a real browser.

Tests `drawing/page/origins.py`.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

import archdsl
from archdsl.analysis.count import count
from archdsl.analysis.memory import live_values
from archdsl.analysis.receptive_field import receptive_fields
from archdsl.drawing.model.drawing import View
from archdsl.drawing.page import SCRIPTS, figures, network, page
from archdsl.drawing.page.outline import outline
from archdsl.drawing.page.stored import stored_parts
from archdsl.drawing.request import Options
from archdsl.graph import Graph
from archdsl.report.words import TIMES
from archdsl.shapes import concrete
from archdsl.spec.find import library_files
from tests.support.places import PACKAGE, ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = (
    "no Chromium"
    if CHROMIUM is None
    else ""
    if importlib.util.find_spec("playwright")
    else "playwright is not installed"
)
in_browser = pytest.mark.skipif(bool(MISSING), reason=MISSING)
VENDOR = PACKAGE / "drawing" / "page" / "vendor"
FAMILIES = [path.stem for path in library_files()]
FEW = [
    "perceptron",
    "lenet5_1998",
    "alexnet",
    "googlenet",
    "unet",
    "shufflenet",
    "mobilenet_v3_large",
    "s3d",
    "inceptiontime",
]
"""Every kind of formula: deconvolutions, adaptive pools, gates, sizes rounded up, tables of connections, one and three
axes, no size at all."""
LIMIT_MS = 60_000

HOSTILE = (
    "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">\u202e\x1b[31m"
)


# --- the file --------------------------------------------------------------------------------------------


class _Elements(HTMLParser):
    """The scripts and styles of a page as a browser finds them, and every attribute that could load something."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.texts: list[tuple[str, dict[str, str | None], str]] = []
        self.loads: list[tuple[str, str | None]] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.texts.append((tag, named, ""))
        self.loads += [
            (name, value)
            for name, value in attrs
            if name in ("src", "href", "style", "action") or name.startswith("on")
        ]
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self.texts.append(("", {}, ""))

    def handle_data(self, data: str) -> None:
        if self.texts:
            tag, named, before = self.texts[-1]
            self.texts[-1] = (tag, named, before + data)

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(named, text) for name, named, text in self.texts if name == tag]


@pytest.fixture
def tiny() -> Graph:
    return archdsl.loads(
        "input: 3x64x64  # <b>bold</b> </script>\n"
        "blocks: {b(w): {residual: [3x3 conv w bn relu]}}\n"
        "net: {a: 3x3 conv 8, b: 2 * b(8), c: gap, d: fc 10}\n",
        name="</script>.yaml",
    ).graph


def hostile(graph: Graph) -> Graph:
    """The graph with names that no spec can have: a graph may come from elsewhere."""
    for scope in graph.root.walk():
        scope.path = scope.path and scope.path + HOSTILE
    return replace(graph, name=HOSTILE, nodes=tuple(replace(n, path=n.path + HOSTILE) for n in graph.nodes))


def test_one_file_that_loads_nothing_and_names_each_script_by_its_hash(tiny: Graph) -> None:
    found = _Elements(page(tiny))
    assert found.loads == []
    for sheet in [text for _, text in found.of("style")]:
        assert b64encode(sha256(sheet.encode()).digest()).decode() in found.policy
    run = [text for named, text in found.of("script") if "type" not in named]
    assert len(run) == len(SCRIPTS)
    hashes = {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in run}
    script = re.search(r"script-src ([^;]*)", found.policy)
    assert script is not None and set(script[1].split()) == hashes | {"'wasm-unsafe-eval'"}
    assert "default-src 'none'" in found.policy and "img-src blob:;" in found.policy
    assert not re.search(r"unsafe-inline|unsafe-eval(?<!wasm-unsafe-eval)|https?:|\*", found.policy)


def test_no_name_breaks_out(tiny: Graph) -> None:
    text = page(hostile(tiny), View(expand=(HOSTILE,)), Options(title=HOSTILE))
    found = _Elements(text)
    assert [named.get("type", "") for named, _ in found.of("script")] == [
        "application/json",
        "text/plain",
        *[""] * len(SCRIPTS),
    ]
    assert found.of("img") == []
    (data,) = [text for named, text in found.of("script") if named.get("id") == "network"]
    assert not set(data) & set("<>&") and data.isascii()
    assert "\u202e" not in json.loads(data)["name"] and "\x1b" not in json.loads(data)["nodes"][0]["path"]


def test_the_scripts_set_text_and_never_markup() -> None:
    for name in SCRIPTS[1:]:
        text = (VENDOR.parent / f"{name}.js").read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|setAttribute\(\"style", text
        ), name


def test_the_folder_of_a_spec_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret_place.yaml"
    path.write_text("input: 3x8x8\nnet: [3x3 conv 4]\n", encoding="utf-8")
    assert str(tmp_path) not in page(archdsl.load(path).graph)


# --- its data --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_every_formula_of_macs_is_the_ops_own(name: str) -> None:
    graph = archdsl.load(name).graph
    other = figures.sample_sizes(graph)[:1]
    tried = [figures.work(node, other) for node in graph.nodes]  # raises where a formula does not hold
    assert (
        sum(w.at(n.in_shapes, n.shape) for w, n in zip(tried, graph.nodes, strict=True) if not n.training)
        == count(graph).macs
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_the_outline_holds_every_node_once_at_each_level(name: str) -> None:
    graph = archdsl.load(name).graph

    def ids(items: list[dict[str, Any]]) -> list[int]:
        found = [i for item in items for start, stop, _ in item["copies"] for i in range(start, stop)]
        for item in items:
            if "items" in item:
                start, stop, _ = item["copies"][0]
                assert ids(item["items"]) == list(range(start, stop)), item["title"]
        return found

    assert ids(outline(graph)) == list(range(len(graph.nodes)))


def test_a_long_flat_network_stands_in_groups(net: Callable[..., archdsl.Network]) -> None:
    layers = "".join(f"  c{n}: 3x3 conv {4 + n % 2}\n" for n in range(1000))
    items = outline(net(f"net:\n{layers}").graph)
    pending = [items]
    while pending:
        here = pending.pop()
        assert len(here) <= 120
        pending += [item["items"] for item in here if "items" in item]


def test_a_block_call_is_shown_with_its_chain(tiny: Graph) -> None:
    data = network(tiny)["origins"]
    node = next(n for n in tiny.nodes if n.path.startswith("b.1"))
    span, call = data["nodes"][node.id]
    assert data["calls"][call]["text"] == "b(8)" and data["calls"][call]["path"] == "b.1"
    assert data["spans"][span]["lines"] == [2, 2]
    start, stop = data["spans"][span]["columns"]
    assert data["sources"][0]["lines"][2][start:stop] == "3x3 conv w bn relu"


# --- what it is built on ---------------------------------------------------------------------------------


def test_the_lock_file_names_packages_and_no_places() -> None:
    lock = json.loads((ROOT / "tools" / "page" / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((ROOT / "tools" / "page" / "package.json").read_text(encoding="utf-8"))
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    assert "resolved" not in json.dumps(lock) and "://" not in json.dumps(lock)


def test_every_bundled_package_has_its_licence() -> None:
    lock = json.loads((ROOT / "tools" / "page" / "package-lock.json").read_text(encoding="utf-8"))
    text = (VENDOR / "LICENSES.txt").read_text(encoding="utf-8")
    for folder, package in lock["packages"].items():
        if folder and not package.get("dev"):
            assert f"{folder.removeprefix('node_modules/')} {package['version']}" in text
    assert "Graphviz" in text and "Expat" in text


# --- in a browser ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
    ]
    with sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield running
        running.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page of a network; at the end nothing may have been logged, thrown or fetched."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True, reduced_motion="reduce")
    context.set_default_timeout(LIMIT_MS)
    trouble: list[str] = []

    def open_page(graph: Graph, fragment: str = "", **start: Any) -> Any:
        path = tmp_path / "page.html"
        path.write_text(page(graph, **start), encoding="utf-8")
        tab = context.new_page()
        tab.on("console", lambda message: trouble.append(message.text))
        tab.on("pageerror", lambda problem: trouble.append(str(problem)))
        tab.on(
            "request",
            lambda request: trouble.append(request.url) if not request.url.startswith(("file:", "blob:")) else None,
        )
        tab.goto(path.as_uri() + fragment)
        tab.wait_for_selector("html[data-ready]")
        return tab

    yield open_page
    context.close()
    assert trouble == []


def box(tab: Any, text: str) -> Any:
    return tab.locator("#drawing [data-key]").filter(has_text=re.compile(f"^{re.escape(text)}")).first


def figure(tab: Any, name: str) -> int:
    return int(tab.locator(f"#{name}").get_attribute("value"))


def set_size(tab: Any, name: str, value: int) -> None:
    tab.locator(f"#{name}-number").fill(str(value))
    tab.locator(f"#{name}-number").press("Enter")


def compare(tab: Any, spec: str, size: str, batch: int) -> None:
    totals = count(archdsl.load(spec, input=size).graph, batch)
    assert figure(tab, "macs") == totals.macs
    assert figure(tab, "memory") == totals.peak_memory_bytes
    assert figure(tab, "params") == totals.params
    assert figure(tab, "activations") == totals.activations


@in_browser
def test_sliders_give_the_figures_of_python(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("resnet50").graph)
    compare(tab, "resnet50", "3x224x224", 1)
    set_size(tab, "size", 321)
    set_size(tab, "batch", 7)
    compare(tab, "resnet50", "3x321x321", 7)
    tab.locator("#square").uncheck()
    set_size(tab, "W", 200)
    compare(tab, "resnet50", "3x321x200", 7)
    assert "64 \u00d7 161 \u00d7 100" in tab.locator("#drawing").text_content()
    assert "H=321" in tab.url and "N=7" in tab.url
    tab.get_by_role("button", name="Reset").click()
    compare(tab, "resnet50", "3x224x224", 1)
    tab.locator("#batch-slider").fill("3")
    assert figure(tab, "macs") == 8 * archdsl.load("resnet50").macs


SIGNAL = """
name: ecg
input: 12x5000
net: {a: 15 conv 8 /2 bn relu, b: 3 maxpool /2, c: 2 deconv 4 /2, d: upsample 2 linear, e: 3 conv 2, g: gap, f: fc 3}
"""
VOLUME = """
name: scan
input: 1x16x16x16
net:
  a: 3x3x3 conv 4 bn relu
  b: 1x3x3 conv 4 /1x2x2
  p: 2x2x2 avgpool
  u: 2x2x2 deconv 4 /2
  gate: {branches: [identity, {s: gap, e: 1x1x1 conv 4 sigmoid}], merge: mul}
  g: 2x2x2 avgpool adaptive
  f: fc 3
"""


def of_size(text: str, size: str) -> Graph:
    own = re.search("input: (.*)", text)
    assert own is not None
    return archdsl.loads(text.replace(own[1], size)).graph


def check_totals(tab: Any, graph: Graph, batch: int = 1) -> None:
    totals = count(graph, batch)
    shown = {name: figure(tab, name) for name in ("params", "macs", "memory", "activations")}
    assert shown == {
        "params": totals.params,
        "macs": totals.macs,
        "memory": totals.peak_memory_bytes,
        "activations": totals.activations,
    }


@in_browser
def test_a_signal_has_one_slider_and_the_figures_of_python(visit: Callable[..., Any]) -> None:
    tab = visit(of_size(SIGNAL, "12x5000"))
    check_totals(tab, of_size(SIGNAL, "12x5000"))
    set_size(tab, "L", 777)
    set_size(tab, "batch", 3)
    check_totals(tab, of_size(SIGNAL, "12x777"), 3)
    words = tab.locator("body").inner_text()
    assert "for 3 signals" in words and "number of signals" in words and "image" not in words
    drawn = tab.locator("#drawing").text_content()
    assert "8 \u00d7 389" in drawn and "L 389" in drawn and "L=777" in tab.url
    assert tab.locator("#square").count() == 0
    box(tab, "15 conv, 8, /2").click()
    assert "15 samples" in tab.locator("#details").text_content()


@in_browser
def test_a_volume_has_three_sliders_and_the_figures_of_python(visit: Callable[..., Any]) -> None:
    tab = visit(of_size(VOLUME, "1x16x16x16"))
    for name, value in (("D", 18), ("H", 32), ("W", 44)):
        set_size(tab, name, value)
    check_totals(tab, of_size(VOLUME, "1x18x32x44"))
    assert "4 \u00d7 18 \u00d7 16 \u00d7 22" in tab.locator("#drawing").text_content()
    assert all(part in tab.url for part in ("D=18", "H=32", "W=44"))
    box(tab, "1\u00d73\u00d73 conv, 4, /1\u00d72\u00d72").click()
    details = tab.locator("#details").text_content()
    assert "3 \u00d7 5 \u00d7 5 voxels" in details and "4 \u00d7 D \u00d7 (H + 1)//2 \u00d7 (W + 1)//2" in details
    box(tab, "fc 3").click()
    assert "the whole volume" in tab.locator("#details").text_content()
    again = visit(of_size(VOLUME, "1x16x16x16"), "#" + tab.url.partition("#")[2])
    check_totals(again, of_size(VOLUME, "1x18x32x44"))


@in_browser
def test_equal_sizes_of_a_volume_share_a_slider(visit: Callable[..., Any]) -> None:
    cube = "input: 1x16x16x16\nnet: {a: 3x3x3 conv 4, b: 2x2x2 maxpool, g: gap}"
    tab = visit(of_size(cube, "1x16x16x16"))
    set_size(tab, "size", 25)
    check_totals(tab, of_size(cube, "1x25x25x25"))
    assert tab.locator("label[for=square]").text_content() == "equal depth, height and width"
    tab.locator("#square").uncheck()
    set_size(tab, "H", 31)
    check_totals(tab, of_size(cube, "1x25x31x25"))
    again = visit(of_size(cube, "1x16x16x16"), "#" + tab.url.partition("#")[2])
    check_totals(again, of_size(cube, "1x25x31x25"))
    assert not again.locator("#square").is_checked()
    again.locator("#square").check()
    check_totals(again, of_size(cube, "1x25x25x25"))


@pytest.mark.parametrize(
    ("text", "words", "field"),
    [
        (SIGNAL, {"input": "signal", "equal": ""}, [15, False]),
        (VOLUME, {"input": "volume", "equal": "depth, height and width"}, [3, 3, 3, False]),
        ("input: 3x8x8\nnet: {a: 3x1 conv 2}", {"input": "image", "equal": "height and width"}, [3, 1, False]),
        ("input: 8\nnet: {a: fc 2}", {"input": "vector", "equal": ""}, None),
        ("input: {x: 3x8x8, y: 5}\nnet: {a: 3x3 conv 2 <- x}", {"input": "image", "equal": ""}, [3, 3, False]),
        ("input: {x: 3x8x8, y: 5x9}\nnet: {a: 3 conv 2 <- y}", {"input": "input", "equal": ""}, [3, False]),
    ],
)
def test_the_words_and_fields_are_those_of_the_input(text: str, words: dict[str, str], field: list[Any] | None) -> None:
    data = network(archdsl.loads(text).graph)
    points = ["value", "sample", "pixel", "voxel"]
    assert data["words"] == {**words, "points": points}
    assert next(node for node in data["nodes"] if node["path"] in ("a", "a.conv")).get("field") == field


@in_browser
@pytest.mark.parametrize("seed", range(6))
def test_every_count_of_signals_and_volumes_is_that_of_python(visit: Callable[..., Any], seed: int) -> None:
    """The page's function for each node, at three input sizes that differ on each axis."""
    tab = visit(archdsl.load("perceptron").graph)
    text, axes = ((SIGNAL, 1), (VOLUME, 3))[seed % 2]
    plain = archdsl.loads(text).graph
    values = {size.name: size.minimum + size.step * (7 * n + 5 * seed + 11) for n, size in enumerate(plain.sizes)}
    assert len(values) == axes
    graph = of_size(text, "x".join(map(str, (plain.nodes[0].shape[0], *values.values()))))
    told = tab.evaluate(
        """([nodes, values]) => { const { shapes, alive, macs } = countAt(nodes, values, 2);
        const numbers = (all) => all.map(Number);
        return { shapes: shapes.map(numbers), alive: numbers(alive), macs: numbers(macs) }; }""",
        [figures.nodes(plain), values],
    )
    assert told["shapes"] == [[*concrete(node.shape)] for node in graph.nodes]
    assert told["macs"] == [2 * node.macs for node in graph.nodes]
    assert told["alive"] == [8 * number for number in live_values(graph)]


@in_browser
def test_only_legal_sizes_can_be_set(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("unet").graph)
    set_size(tab, "size", 250)
    assert tab.locator("#size-number").input_value() == "256"
    compare(tab, "unet", "1x256x256", 1)
    pinned = visit(archdsl.load("lenet5").graph)
    assert pinned.locator("#size-slider").is_disabled()
    assert "`flatten`" in pinned.locator("#size-about").text_content()


@in_browser
@pytest.mark.parametrize("names", [FEW, pytest.param(FAMILIES, marks=pytest.mark.slow)], ids=["few", "all"])
def test_every_family_is_counted_as_in_python(visit: Callable[..., Any], names: list[str]) -> None:
    """The script's own function, on the data of one network of each family, at another size than the default."""
    tab = visit(archdsl.load("perceptron").graph)
    for name in names:
        plain = archdsl.load(name)
        values = {s.name: s.default if s.pinned else s.default + 3 * s.step for s in plain.graph.sizes}
        shape = [plain.input[0], *values.values()] if values else list(plain.input)
        graph = archdsl.load(name, input="x".join(map(str, shape))).graph
        told = tab.evaluate(
            """([nodes, values]) => { const { totals, alive, macs, stored } = countAt(nodes, values, 3);
            return { stored: stored.map(String),
                     macs: String(totals.macs), memory: String(totals.memory), activations: String(totals.activations),
                     alive: alive.map(String), each: macs.map(String) }; }""",
            [figures.nodes(plain.graph), values],
        )
        totals = count(graph, 3)
        assert int(told["macs"]) == totals.macs, name
        assert int(told["memory"]) == totals.peak_memory_bytes, name
        assert int(told["activations"]) == totals.activations, name
        assert [int(n) for n in told["alive"]] == [12 * n for n in live_values(graph)], name
        assert [int(n) for n in told["each"]] == [3 * n.macs for n in graph.nodes], name
        if any(stored_parts(plain.graph, figures.sample_sizes(plain.graph))):
            training = [n.stored for n in archdsl.training_cost(name, input=graph.input_spec, batch=3).nodes]
            assert [int(n) for n in told["stored"]] == training, name


def test_what_training_stores_is_left_out_where_no_formula_holds() -> None:
    """At its least length, the signal has one position before the flatten, and no copy is made."""
    padded = archdsl.loads("input: 1x32x32\nnet: {c: 3x3 conv 4, p: 2x2 maxpool /1 same, h: gap, f: fc 2}\n").graph
    for graph in (padded, archdsl.load("ecg_resnet34").graph):
        assert not any(stored_parts(graph, figures.sample_sizes(graph)))
        assert not any("stored" in row for row in figures.nodes(graph))


@in_browser
def test_whole_numbers_stay_whole(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("perceptron").graph)
    wide = archdsl.loads("input: 3x100000x100000\nnet: {a: 3x3 conv 4099, b: gap}\n", name="wide.yaml").graph
    told = tab.evaluate(
        "([nodes, values]) => String(countAt(nodes, values, 1001).totals.macs)",
        [figures.nodes(wide), {"H": 99999, "W": 99991}],
    )
    assert int(told) == 1001 * 4099 * 99999 * 99991 * 27 > 2**53


@in_browser
def test_blocks_open_and_close_in_place(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("googlenet").graph)
    closed = tab.locator("#drawing .box").count()
    block = box(tab, "inception")
    assert block.get_attribute("aria-expanded") == "false"
    block.locator("[data-opens]").click()
    head = tab.locator("#drawing .head").filter(has_text="inception3a")
    head.wait_for()
    assert tab.locator("#drawing .box").count() == closed + 7  # four 1x1, two 3x3, a pool, the concat, for one box
    assert "open=" in tab.url
    again = visit(archdsl.load("googlenet").graph, "#" + tab.url.partition("#")[2])
    assert again.locator("#drawing .box").count() == closed + 7
    head.click()
    box(tab, "inception").wait_for()
    assert tab.locator("#drawing .box").count() == closed


@in_browser
def test_a_run_shows_its_copies(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("resnet50").graph)
    run = box(tab, "bottleneck \u00d75")
    run.click()
    details = tab.locator("#details")
    assert "layer3.1 \u2026 layer3.5" in details.text_content()
    details.get_by_role("button", name="Show all 5").click()
    tab.locator("#drawing .head").filter(has_text="layer3.1 \u2026 layer3.5").wait_for()
    assert tab.locator("#drawing .box").filter(has_text="256; 1\u00d71, 1024]").count() == 5


DENSE = """
name: dense
input: 3x8x8
blocks:
  layer: {conv: 1x1 conv 4, out: 3x3 conv 2}
  part: {first: 1x1 conv 6, grow: dense 3 * layer}
net: {stem: 3x3 conv 12, parts: 2 * part}
"""


@in_browser
def test_a_single_copy_says_what_it_receives(visit: Callable[..., Any]) -> None:
    graph = archdsl.loads(DENSE).graph
    tab = visit(graph, "#at=parts.1.grow.1.conv")
    shown = re.findall(r"receives ([0-9\u2026]+) channels", tab.locator("#drawing").text_content())
    layers = [graph.by_path[f"parts.{part}.grow.{n}.conv"].in_shapes[0][0] for part in (1,) for n in range(3)]
    assert set(shown) == set(map(str, layers)) == {"6", "8", "10"}
    tab = visit(graph, "#open=parts,parts.0.grow")
    assert "receives 6\u202610 channels" in tab.locator("#drawing").text_content()


@in_browser
def test_the_first_drawing_is_seen_without_scripts_and_without_the_layout(browser: Any, tmp_path: Path) -> None:
    graph = archdsl.load("resnet18").graph
    path = tmp_path / "page.html"
    path.write_text(page(graph), encoding="utf-8")
    for scripts in (False, True):
        context = browser.new_context(java_script_enabled=scripts, offline=True)
        tab = context.new_page()
        tab.add_init_script("window.Worker = class { constructor() { throw new Error('refused'); } }")
        tab.goto(path.as_uri())
        still = tab.locator("#still-graph svg")
        still.wait_for(state="visible")
        assert "[3\u00d73, 128; 3\u00d73, 128]" in still.text_content() and "layer2.0" in still.text_content()
        assert not tab.locator("#still-volumes").is_visible()
        context.close()


@in_browser
def test_the_other_styles_are_in_the_page(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("resnet18").graph)
    assert not tab.locator("#still-graph").is_visible()
    tab.locator("#style").select_option("volumes")
    assert tab.locator("#still-volumes svg").is_visible() and "style=volumes" in tab.url
    with tab.expect_download() as download:
        tab.locator("#save").click()
    assert 'id="stage-conv1' in Path(download.value.path()).read_text(encoding="utf-8")
    again = visit(archdsl.load("resnet18").graph, "#style=article")
    assert "F(x)" in again.locator("#still-article svg").text_content()


@in_browser
def test_the_view_is_saved_as_png_and_printed_as_it_is(visit: Callable[..., Any]) -> None:
    from PIL import Image

    tab = visit(archdsl.load("lenet5").graph)
    with tab.expect_download() as download:
        tab.locator("#save-png").click()
    assert download.value.suggested_filename == "lenet5.png"
    image = Image.open(download.value.path()).convert("RGB")
    assert image.width > 200 and len(image.getcolors(1 << 20)) > 20
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert "5\u00d75 conv, 6" in tab.locator("#printed svg").text_content()
    tab.emulate_media(media="print")
    assert tab.locator("#printed svg").is_visible() and not tab.locator("aside").is_visible()
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator("#printed svg").count() == 0


@in_browser
def test_a_link_names_paths(visit: Callable[..., Any]) -> None:
    """Such a link leads to the same block after layers were added elsewhere."""
    tab = visit(archdsl.load("resnet50").graph, "#at=layer3.4.conv2")
    assert "layer3.4.conv2" in tab.locator("#details").text_content()
    assert "apart=layer3.1" in tab.url.replace("%2C", ",")
    deeper = archdsl.load("resnet101").graph
    fragment = "#" + tab.url.partition("#")[2]
    assert "layer3.4.conv2" in visit(deeper, fragment).locator("#details").text_content()


@in_browser
def test_an_expanded_run_counts_all_its_copies(visit: Callable[..., Any]) -> None:
    graph = archdsl.load("resnet50").graph
    tab = visit(graph, "#open=layer3.1")
    inside = [node for node in graph.nodes if re.fullmatch(r"layer3\.[1-5]\.conv2", node.path)]
    assert len(inside) == 5
    tab.locator("#drawing .box").filter(has_text="3\u00d73 conv, 256").first.click()
    assert int(tab.locator("#its-macs").text_content().replace(",", "")) == sum(node.macs for node in inside)
    assert "each, \u00d75" in tab.locator("#details").text_content()


READER = """
name: scan
input: 1x16x32x32
defaults: {conv: bn relu}
blocks:
  r(w): {residual: {x: conv w kernel=3, y: conv w kernel=3 linear}, then: relu}
net:
  stem: 3x3x3 conv 8 /1x2x2
  rr: 3 * r(8)
  down: 2x2x2 maxpool
  last: 3x3x3 conv 8
  out: 1x1x1 conv 2
"""


@in_browser
def test_inside_an_expanded_run_the_fields_of_all_copies_are_shown(visit: Callable[..., Any]) -> None:
    graph = archdsl.loads(READER).graph
    tab = visit(graph, view=View("layer"))
    tab.locator("#details").get_by_role("button", name=f"rr.0.x {TIMES}3", exact=True).first.click()
    first, last = (
        f" {TIMES} ".join(map(str, field))
        for name in ("rr.0.x.conv", "rr.2.x.conv")
        if (field := receptive_fields(graph)[graph.by_path[name].id])
    )
    assert f"{first} voxels \u2026 {last} voxels" in tab.locator("#details").text_content()


@in_browser
@pytest.mark.parametrize("path", ["stem", "rr.1.y", "rr", "rr.2", "out", "last.conv"])
def test_a_link_names_paths_of_the_spec(visit: Callable[..., Any], path: str) -> None:
    tab = visit(archdsl.loads(READER).graph, f"#at={path}")
    shown = tab.locator("#details .path").first.text_content()
    assert shown == {"rr": "rr.0 \u2026 rr.2", "last.conv": "last"}.get(path, path)
    at = parse_qs(tab.url.partition("#")[2])["at"]
    assert at == [shown.partition(" ")[0]], "the link names the path again"


@in_browser
def test_a_focus_is_visible_as_a_whole(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("unet").graph, view=View("layer", focus="up4"))
    frame = f'[data-frame="{tab.evaluate("view.selected")}"]'
    seen, whole = (tab.locator(selector).first.bounding_box() for selector in (frame, "#drawing"))
    assert whole["x"] <= seen["x"] and seen["x"] + seen["width"] <= whole["x"] + whole["width"]
    assert whole["y"] <= seen["y"] and seen["y"] + seen["height"] <= whole["y"] + whole["height"]


@in_browser
def test_the_legend_covers_no_box(visit: Callable[..., Any]) -> None:
    """The chain of resnet50 is longer than the window: its boxes run up to the legend."""
    tab = visit(archdsl.load("resnet50").graph)
    drawing, legend = (tab.locator(selector).bounding_box() for selector in ("#drawing", "#legend"))
    assert drawing["y"] + drawing["height"] <= legend["y"] + 0.5 and legend["height"] > 20
    assert legend["y"] + legend["height"] <= 900.5 and drawing["height"] > 600


@in_browser
def test_search_by_a_field_and_its_value(visit: Callable[..., Any]) -> None:
    graph = archdsl.load("resnext50_32x4d").graph
    tab = visit(graph)

    def found(text: str) -> int:
        tab.locator("#search").fill(text)
        return int(tab.evaluate("document.querySelectorAll('#results [role=option]').length"))

    strided = [node for node in graph.nodes if node.op.explicit().get("stride") == (2, 2)]
    assert found("stride 2") == len(strided) == 8
    assert found("groups 32 stride 2") == 3 and found("groups") > found("groups stride 2") and found("stride 3") == 0


@in_browser
def test_a_phone_has_the_figures_in_a_sheet(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(archdsl.load("lenet5").graph), encoding="utf-8")
    tab = browser.new_page(viewport={"width": 390, "height": 800})
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    assert tab.locator("#sheet").bounding_box()["y"] > 740
    tab.locator("#sheet").click()
    assert tab.locator("#sheet").bounding_box()["y"] < 400
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()


@in_browser
def test_a_notebook_can_frame_it(browser: Any, tmp_path: Path) -> None:
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!doctype html><body>{archdsl.load('lenet5').page()._repr_html_()}</body>", encoding="utf-8")
    tab, trouble = browser.new_page(), list[str]()
    tab.on("console", lambda message: trouble.append(message.text))
    tab.on("pageerror", lambda problem: trouble.append(str(problem)))
    tab.goto(outer.as_uri())
    frame = tab.frame_locator("iframe")
    frame.locator("html[data-drawn]").wait_for(state="attached", timeout=LIMIT_MS)
    frame.locator("#drawing .box").first.click()
    assert frame.locator("#details h2").is_visible() and trouble == []
    tab.close()


@in_browser
def test_search_leads_to_a_node_and_its_lines(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("resnet50").graph)
    tab.keyboard.press("/")
    tab.keyboard.type("layer3.4.conv2")
    assert tab.locator("#results [role=option]").first.text_content().startswith("layer3.4.conv2")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280, "the results are inside the window"
    tab.keyboard.press("Enter")
    details = tab.locator("#details")
    details.get_by_text("layer3.4.conv2", exact=True).first.wait_for()
    node = archdsl.load("resnet50").graph.by_path["layer3.4.conv2"]
    assert int(tab.locator("#its-macs").text_content().replace(",", "")) == node.macs
    assert tab.locator("#output-shape").text_content() == "256 \u00d7 14 \u00d7 14"
    assert details.locator("mark").first.text_content() == node.origin.span.text
    assert "layer3.4 = bottleneck(256, 1)" in details.text_content()
    tab.keyboard.press("/")
    tab.keyboard.type("no such thing")
    assert "no node or block matches" in tab.locator("#results").text_content()


@in_browser
def test_everything_by_keyboard(visit: Callable[..., Any]) -> None:
    tab = visit(archdsl.load("unet").graph)

    def focused() -> str:
        return tab.evaluate("document.activeElement.getAttribute('aria-label') ?? ''")

    tab.locator("#help").focus()
    tab.keyboard.press("Tab")
    assert focused().startswith("input")
    tab.keyboard.press("ArrowDown")
    assert "double" in focused()
    assert "double" in tab.locator("#details h2").text_content()
    tab.keyboard.press("Enter")
    tab.locator("#drawing .head").filter(has_text="inc").wait_for()
    assert tab.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    tab.keyboard.press("ArrowDown")
    assert "3\u00d73 conv, 64" in focused()
    tab.keyboard.press("Escape")
    tab.locator("#drawing .head").first.wait_for(state="detached")
    assert "double" in focused()
    tab.keyboard.press("?")
    assert tab.locator("dialog").is_visible()
    tab.keyboard.press("Escape")
    before = tab.locator("#drawing > g").get_attribute("transform")
    tab.keyboard.press("+")
    assert tab.locator("#drawing > g").get_attribute("transform") != before


@in_browser
def test_several_inputs_and_outputs(visit: Callable[..., Any]) -> None:
    made = archdsl.loads(
        "input: {photo: 3x64x48, meta: 10}\nnet: {a: {op: conv, kernel: 3, out: 8, from: photo}, b: gap, c: flatten, d:"
        ' {op: fc, out: 8, from: meta}, e: "add <- c, d"}\noutputs: {map: a, total: e}\n',
        name="two.yaml",
    )
    tab = visit(made.graph)
    set_size(tab, "photo_H", 100)
    set_size(tab, "photo_W", 33)
    assert figure(tab, "macs") == 27 * 8 * 100 * 33 + 80
    words = tab.locator("#drawing").text_content()
    assert all(word in words for word in ("photo", "meta", "map", "total", "8 \u00d7 100 \u00d7 33"))


@in_browser
def test_it_says_so_where_no_worker_can_start(tiny: Graph, browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(tiny), encoding="utf-8")
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.add_init_script("window.Worker = class { constructor() { throw new Error('refused'); } }")
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    assert "does not allow workers" in tab.locator("#message").text_content()
    assert figure(tab, "macs") == count(tiny).macs
    context.close()


@in_browser
def test_hostile_names_stay_text(tiny: Graph, visit: Callable[..., Any]) -> None:
    tab = visit(hostile(tiny), "#open=<img>&at=%3Cscript%3E&H=NaN&N=1e99&apart=0&colour=<b>")
    assert tab.title().startswith("</script><script>") and tab.title() != "broken"
    assert tab.locator("img").count() == 0
    tab.locator("#collapse").click()
    box(tab, "3\u00d73 conv").click()
    assert "</script>" in tab.locator("#details .path").first.text_content()


@in_browser
def test_the_view_is_saved_as_svg(visit: Callable[..., Any], tmp_path: Path) -> None:
    import xml.etree.ElementTree as ET

    tab = visit(archdsl.load("vgg16").graph)
    with tab.expect_download() as download:
        tab.locator("#save").click()
    saved = tmp_path / "saved.svg"
    download.value.save_as(saved)
    assert download.value.suggested_filename == "vgg16.svg"
    root = ET.parse(saved).getroot()
    words = "".join(root.itertext())
    assert (
        "3\u00d73 conv, 64" in words
        and "512 \u00d7 14 \u00d7 14" in words
        and "var(" not in saved.read_text(encoding="utf-8")
    )


@in_browser
def test_it_starts_as_it_was_asked_to(visit: Callable[..., Any]) -> None:
    view, options = View("network", "layer3.2", ("layer3.2",)), Options("dark", "macs", shapes=False, title="My net")
    tab = visit(archdsl.load("resnet50").graph, view=view, options=options)
    assert tab.locator("h1").text_content() == "My net"
    assert tab.locator("#drawing .shape").count() == 0
    heads = tab.locator("#drawing .head").all_text_contents()
    assert [head.split("\u25be")[1].split("\u00d7")[0].split("bottle")[0].strip() for head in heads] == [
        "layer3",
        "layer3.1 \u2026 layer3.5",
        "layer3.2",
    ]
    assert "layer3.2" in tab.locator("#details").text_content()
    assert tab.locator("#colour").input_value() == "macs"
    assert tab.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


@in_browser
@pytest.mark.slow
@pytest.mark.parametrize("name", ["densenet201", "nasnetalarge", "inception_resnet_v2", "resnet1202"])
def test_the_largest_networks_can_be_used(visit: Callable[..., Any], name: str) -> None:
    tab = visit(archdsl.load(name).graph)
    for _ in range(4):
        tab.locator("#expand").click()
        tab.locator("#drawing[aria-busy=false]").wait_for()
    assert 10 < tab.locator("#drawing .box").count() <= 800
    everything = visit(archdsl.load(name).graph, view=View(expand=("*",)))
    assert 5 < everything.locator("#drawing .box").count() <= 800


TWO_PATHWAYS = """
name: pathways
input: 3x16x32x32
defaults: {conv: bn relu}
net:
  slow0: 1x1x1 avgpool /4x1x1
  slow1: 1x7x7 conv 16 /1x2x2 <- slow0
  slow2: 1x3x3 maxpool /1x2x2 pad=[0,1,1,0,1,1]
  fast1: 5x7x7 conv 4 /1x2x2 <- input
  fast2: 1x3x3 maxpool /1x2x2 pad=[0,1,1,0,1,1]
  across: 5x1x1 conv 8 /4x1x1 <- fast2
  both: concat <- slow2, across
  slow3: 1x3x3 conv 32 /1x2x2
  fast3: 3x3x3 conv 8 /1x2x2 <- fast2
  slow4: gap <- slow3
  fast4: gap <- fast3
  all: concat <- slow4, fast4
  fc: fc 7
"""
STRUCK = """() => {
  const texts = [...document.querySelectorAll("#drawing .head text, #drawing text.shape")];
  const words = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
  const struck = new Set();
  for (const path of document.querySelectorAll("#drawing path.arrow")) {
    const [length, matrix] = [path.getTotalLength(), path.getScreenCTM()];
    for (let at = 0; at <= length; at += 2) {
      const { x, y } = path.getPointAtLength(at).matrixTransform(matrix);
      const hit = ([, r]) => x > r.left && x < r.right && y > r.top + 1 && y < r.bottom - 1;
      words.filter(hit).forEach(([text]) => struck.add(text));
    }
  }
  return [words.length, ...struck];
}"""


@in_browser
def test_no_arrow_strikes_through_a_name_or_a_shape(visit: Callable[..., Any]) -> None:
    """Shapes of volumes are long, and the arrows of two pathways are not vertical."""
    for graph in (archdsl.loads(TWO_PATHWAYS).graph, archdsl.load("googlenet").graph):
        count, *struck = visit(graph).evaluate(STRUCK)
        assert count > 10 and struck == []
