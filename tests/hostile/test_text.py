"""Text of a spec's author in everything that is made of a spec: shown as text, never markup, code or a command."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner

from archdsl.cli import main

MARKUP = (
    "</title></desc></script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'<!-- --> ]]> "
    'javascript:alert(3) \\input{/etc/passwd} $x^2$ %c \\write18{id} {{7*7}} `x` ]-->(x) "]; click a href '
    '"javascript:alert(1)" **b** | \\N [a](javascript:alert(1))'
)
TURNED = "a\u202eb\u2066c\u200bd\u200fe"
TEXTS = {"markup": MARKUP, "turned": TURNED, "long": "x" * 20_000, "formula": "=HYPERLINK(1)"}
DRAWN = [
    ("graph", "svg"),
    ("graph", "html"),
    ("graph", "mmd"),
    ("graph", "dot"),
    ("graph", "png"),
    ("graph", "pdf"),
    ("graph", "tex"),
    ("graph", "pptx"),
    ("graph", "drawio"),
    ("volumes", "drawio"),
    ("article", "pptx"),
    ("volumes", "svg"),
    ("volumes", "tex"),
    ("volumes", "pdf"),
    ("article", "svg"),
    ("article", "tex"),
    ("sheets", "svg"),
    ("sheets", "tex"),
]
ANYONE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def spec(text: str) -> str:
    """A spec that says the text wherever it may say anything."""
    q = json.dumps(text)
    pieces = [text[at : at + 60].replace("{", "{{").replace("}", "}}") for at in range(0, 300, 60)]
    labels = [json.dumps(piece if piece.strip() and piece.isprintable() else "x") for piece in pieces]
    labelled = "".join(f"  k{n}: {{do: [tanh, relu], label: {label}}}\n" for n, label in enumerate(labels))
    return (
        f"name: evil\ndoc: {q}\npaper: {{title: {q}, authors: [{q}], year: 2015}}\ninput: 3x32x32\nblocks:\n "
        f" basic(w):\n    c1: {{op: conv, out: w, kernel: 1, doc: {q}, label: {labels[0]}}}\n    c2: 3x3 conv w\n"
        f"net:\n  a: {{op: conv,"
        f" out: 8, kernel: 3, doc: {q}, label: {labels[1]}}}\n{labelled}"
        f"  l: 3 * basic(8)\n  p: gap\n  f: {{op: fc, out: 2, doc: {q}}}\nlabels: [{q},"
        f" b]\nclaims: {{top1: {{value: 70.1, source: {q}}}}}\n"
    )


@pytest.fixture(params=TEXTS)
def hostile(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e.yaml").write_text(spec(TEXTS[request.param]))
    name: str = request.param
    return name


def run(*args: str) -> str:
    done = CliRunner().invoke(main, list(args))
    assert done.exit_code == 0, done.output[:2000]
    assert not ANYONE.search(done.output), "a control character is printed"
    return done.output


class Page(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def harmless(tag: str, attributes: dict[str, str | None]) -> bool:
    links = [value for key, value in attributes.items() if key.rpartition("}")[2] in ("href", "src") and value]
    return (
        tag.rpartition("}")[2] not in ("img", "a", "foreignObject", "iframe", "object")
        and not any(key.lower().startswith("on") for key in attributes)
        and all(link.startswith("#") for link in links)
    )


@pytest.mark.parametrize(("style", "format"), DRAWN, ids=lambda value: value)
def test_drawings(style: str, format: str, hostile: str, tmp_path: Path) -> None:
    """Well-formed, without scripts, links or handlers of the text's; a page keeps to its policy."""
    path = tmp_path / f"x.{format}"
    run("diagram", "e.yaml", "--style", style, "-o", str(path), "--title", TEXTS[hostile], "--legend")
    data = path.read_bytes()
    assert len(data) < 3_000_000
    if format == "pptx":
        with zipfile.ZipFile(path) as archive:
            slide = archive.read("ppt/slides/slide1.xml").decode()
            ElementTree.fromstring(slide)
            assert not re.search("[\u202a-\u202e\u2066-\u2069]|hlinkClick", slide)
    if format in ("png", "pdf", "pptx"):
        return
    text = data.decode()
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text), "text is turned around"
    if format == "svg":
        tags = [(e.tag, dict(e.attrib)) for e in ElementTree.fromstring(text).iter()]
        assert all(harmless(tag, attributes) and not tag.endswith("}script") for tag, attributes in tags)  # type: ignore[arg-type]
    if format == "html":
        tags = Page(text).tags
        (policy,) = (a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
        assert (
            policy is not None
            and "default-src 'none'" in policy
            and "unsafe-inline" not in policy.partition("style-src")[0]
        )
        assert not any(key.startswith("on") for _, attributes in tags for key in attributes)
        assert not any(tag == "img" for tag, _ in tags)
    if format == "drawio":
        labels = [cell.get("value", "") for cell in ElementTree.fromstring(text).iter("mxCell")]
        assert {tag for label in labels for tag in re.findall(r"<\s*([^\s>]+)", label)} <= {
            *("font", "/font", "b", "/b", "br")
        }
    if format == "tex":
        assert "\\input{/etc" not in text and "\\write18" not in text
    if format == "dot" and (dot := shutil.which("dot")):
        drawn = subprocess.run([dot, "-Tsvg"], input=data, capture_output=True, timeout=60, check=True).stdout
        assert all(harmless(e.tag, dict(e.attrib)) for e in ElementTree.fromstring(drawn).iter())  # type: ignore[arg-type]


def test_charts_and_tables(hostile: str, tmp_path: Path) -> None:
    run("compare", "e.yaml", "--plot", "x.svg", "--format", "json")
    assert all(harmless(e.tag, dict(e.attrib)) for e in ElementTree.parse("x.svg").iter())  # type: ignore[arg-type]
    run("compare", "e.yaml", "resnet18", "--plot", "x.html")
    assert not any(
        tag == "img" or key.startswith("on") for tag, keys in Page(Path("x.html").read_text()).tags for key in keys
    )
    row = next(csv.DictReader(io.StringIO(run("compare", "e.yaml", "--format", "csv"))))
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())
    markdown = run("compare", "e.yaml", "--format", "markdown")
    assert not re.search(r"<img|<script|(?<!\\)\[a\]", markdown)
    assert {line.count("|") - line.count("\\|") for line in markdown.splitlines()} == {
        markdown.splitlines()[0].count("|")
    }
    assert json.loads(run("compare", "e.yaml", "--format", "json"))[0]["title"] == TEXTS[hostile]


def test_what_is_printed_and_written_back(hostile: str) -> None:
    for args in (["params"], ["params", "--format", "json"], ["passes"], ["check"], ["expand"], ["expand", "--flat"]):
        run(*args, "e.yaml")
    assert yaml.safe_load(run("expand", "e.yaml"))["paper"]["title"] == TEXTS[hostile]
    CliRunner().invoke(main, ["fmt", "e.yaml"])
    assert yaml.safe_load(Path("e.yaml").read_text())["doc"] == TEXTS[hostile]


def test_source_is_the_same_program(hostile: str) -> None:
    """The text is in comments and docstrings only: without them, the source is that of a spec that says nothing."""
    import ast

    def program(text: str) -> str:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        return ast.dump(tree)

    evil = run("compile", "e.yaml", "--to", "torch", "-o", "-")
    Path("e.yaml").write_text(spec("plain"))
    assert program(evil) == program(run("compile", "e.yaml", "--to", "torch", "-o", "-"))
