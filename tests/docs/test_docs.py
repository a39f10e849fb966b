"""The pages under docs/ and the README say what is true."""

from __future__ import annotations

import doctest
import hashlib
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl.ops import OPS_BY_NAME
from tests.support.places import ROOT

BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(
    p.relative_to(ROOT).as_posix()
    for folder in ("", "docs", "docs/guides", "docs/decisions", "benchmarks")
    for p in (ROOT / folder).glob("*.md")
)


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


ops_page = _tool("ops_page")
docs = _tool("docs")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


# --- specs -----------------------------------------------------------------------------------------------

SPECS = [
    (page, n)
    for page in ("README.md", "docs/overview.md", "docs/language.md", "docs/tour.md")
    for n in range(len(BLOCK.findall(text_of(page))))
]


@pytest.mark.parametrize(("page", "number"), SPECS)
def test_every_spec_of_a_page_loads(page: str, number: int) -> None:
    text = BLOCK.findall(text_of(page))[number]
    network = archdsl.loads(text)
    assert network.nodes
    assert page == "docs/language.md" or network.graph.notes == ()
    for variant in network.document.variants:
        assert archdsl.loads(text, variant=variant).nodes


# --- what is shown is what comes out ---------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in docs.PAGES if "<!-- made: " in docs.read(page)])
def test_generated_parts_are_current(page: str) -> None:
    assert docs.with_parts(text_of(page)) == text_of(page), "run `python tools/docs.py`"


def test_the_page_of_the_library_is_current() -> None:
    assert _tool("library_page").library_page() == text_of("docs/library.md"), "run `python tools/docs.py`"


def test_the_chart_is_current() -> None:
    article = _tool("article")
    assert len(article.points()) == len(article.CHART)
    assert article.titles(text_of("docs/pictures/chart.svg")) == [article.Plot().words(p) for p in article.points()], (
        "run `python tools/docs.py`"
    )


def test_the_page_of_ops_is_current() -> None:
    assert ops_page.ops_page() == text_of("docs/ops.md"), "run `python tools/docs.py`"


@pytest.mark.parametrize("kind", OPS_BY_NAME)
def test_every_example_of_an_op_is_sound(kind: str) -> None:
    network = archdsl.loads(ops_page.example_spec(kind))
    assert network.graph.notes == ()
    assert (
        ops_page.example_of(kind)
        .text.split(" <- ")[0]
        .split()[bool(re.match(r"\d+x\d+ ", ops_page.example_of(kind).text))]
        == kind
    )


@pytest.mark.parametrize("name", docs.PICTURES)
def test_pictures_are_current(name: str) -> None:
    picture = text_of(f"docs/pictures/{name}.svg")
    assert hashlib.sha256(docs.drawing(name).encode()).hexdigest() in picture, "run `python tools/docs.py`"
    root = ElementTree.fromstring(picture)
    assert any(name.partition("-")[0] in "".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}title"))


@pytest.mark.parametrize("name", docs.STYLED)
def test_pictures_in_other_styles_are_current(name: str) -> None:
    """Numbers may differ by a rounding: sums of floats are not the same in every Python, nor is a grey of a pixel."""
    number, pixels = re.compile(r"\d+(?:\.\d+)?"), re.compile('(?<=base64,)[^"]*')
    picture, drawn = (pixels.sub("", text) for text in (text_of(f"docs/pictures/{name}.svg"), docs.styled(name)))
    assert number.sub("", picture) == number.sub("", drawn), "run `python tools/docs.py`"
    pairs = zip(number.findall(picture), number.findall(drawn), strict=True)
    assert all(abs(float(a) - float(b)) < 0.021 for a, b in pairs if len(a) < 8), "run `python tools/docs.py`"


def test_the_package_says_what_is_true() -> None:
    assert doctest.testmod(archdsl).attempted > 0
    assert doctest.testmod(archdsl).failed == 0


def test_the_two_commands_are_all_the_set_up() -> None:
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    assert {"cpu", "gpu", "test"} <= set(extras)
    assert "\npip install '.[cpu]' && archdsl compile specs/vgg16.yaml\n" in text_of("README.md")
    assert "\npip install -e '.[cpu,test]' && pytest\n" in text_of("README.md")
    assert "pip install --quiet --disable-pip-version-check -e '.[cpu,test]'\n" in text_of(".ci/run")


def test_benchmarks_say_what_they_do() -> None:
    for script in sorted((ROOT / "benchmarks").glob("*.py")):
        assert script.stem == "measure" or f"`{script.name}`" in text_of("benchmarks/README.md")


# --- links, and words ------------------------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    return {ops_page.anchor(m) for m in re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    prose = FENCE.sub("", text_of(page))
    links = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'(?:src|href)="([^"]+)"', prose)
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), f"{page} links to {link}"


def test_every_page_is_linked() -> None:
    linked = {
        (ROOT / page).parent.joinpath(link.partition("#")[0]).resolve().relative_to(ROOT).as_posix()
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s:]+)\)", text_of(page))
        if link.partition("#")[0]
    }
    guides = {page for page in PAGES if page.startswith("docs/guides/")}  # the site's navigation has all of them
    assert set(PAGES) - linked - guides == {"docs/404.md"}


def places(name: str) -> list[Path]:
    """The files that a page may mean by a name: from the root, from the package, or anywhere in it."""
    candidates = [ROOT / name, ROOT / "archdsl" / name, *(ROOT / "archdsl").rglob(name.rstrip("/"))]
    return [path for path in candidates if path.exists()]


@pytest.mark.parametrize("page", ["docs/tour.md", "CONTRIBUTING.md"])
def test_files_and_names_exist(page: str) -> None:
    prose = FENCE.sub("", text_of(page))
    for name in re.findall(r"`([\w./]+(?:\.py|/))`", prose):
        assert places(name), f"{page} speaks of {name}"
    for word, name in re.findall(r"`(\w+)` (?:in|of)\s+`([\w./]+\.py)`", prose):
        assert re.search(rf"^(class )?{word}\b", places(name)[0].read_text(encoding="utf-8"), re.MULTILINE), (
            f"{name} has no {word}"
        )


@pytest.mark.parametrize("page", PAGES)
def test_pages_speak_of_the_project_alone(page: str) -> None:
    for word in (
        r"/work/",
        r"/tmp/",
        r"/home/",
        r"/root/",
        r"localhost",
        r"\bTODO\b",
        r"\bFIXME\b",
        r"\bDESIGN\b",
        r"\bLANGUAGE\b",
        r"\.\./shared",
        r"[ \t]+$",
    ):
        found = re.search(word, text_of(page), re.MULTILINE)
        assert found is None, f"{page}: {found[0]!r}" if found else ""
