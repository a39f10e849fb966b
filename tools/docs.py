"""Generates the outputs of commands, tables and pictures of the documentation: `python tools/docs.py`.

It rewrites what changed. `tests/docs/test_docs.py` fails if a file is not current.

`tools/pages.py` runs the pages.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from pages import blocks, run

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    *sorted(
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("docs/**/*.md")
        if path.name != "errors.md" and "reference" not in path.parts
    ),
)
"""The pages that run; `tests/diagnostics` runs the examples of the codes."""
FUNDUS = ROOT / "examples/fundus.png"
PICTURES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "resnet20": ("README.md", "resnet20.yaml", {}, {}),
    "tiny": ("docs/tour.md", "tiny.yaml", {"level": "layer"}, {}),
    "resnet50": ("", "resnet50", {}, {"legend": True}),
    "resnet50-stages": ("", "resnet50", {"level": "network"}, {"direction": "LR"}),
    "resnet50-macs": ("", "resnet50", {"expand": ("layer2.0",)}, {"color": "macs", "legend": True}),
    "googlenet-inception3a": ("", "googlenet", {"focus": "inception3a"}, {}),
    "googlenet-print": ("", "googlenet", {"focus": "inception3a"}, {"theme": "print", "title": "", "legend": True}),
}
"""By name of the picture: the page with the spec (empty: the library), the spec, and the arguments of View and
Options."""

STYLED: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "ecg-volumes": ("docs/drawing.md", ("ecg.yaml",), {"style": "volumes"}),
    "scan-volumes": ("docs/drawing.md", ("scan.yaml",), {"style": "volumes"}),
    "scan-convolution": ("docs/drawing.md", ("scan.yaml",), {"style": "article", "focus": "body.1"}),
    "scan-sheets": ("docs/drawing.md", ("scan.yaml",), {"style": "sheets"}),
    "lenet-sheets": ("", ("lenet5_1998",), {"style": "sheets"}),
    "strides": ("", ("edge_filter", "edge_filter_stride3"), {"style": "article", "image": FUNDUS}),
    "fields": ("", ("resnet50",), {"style": "article", "focus": ("layer1", "layer2", "layer3"), "image": FUNDUS}),
    "three-blocks": (
        "docs/article.md",
        ("three_blocks.yaml",),
        {"style": "article", "focus": ("plain", "residual_block", "dense_block")},
    ),
}
"""Pictures that need no layout, the same on every machine: the page with the spec (empty: the library), the specs, and
the arguments of `diagram`."""

_PAINTERS = (
    *(f"graph/{name}" for name in ("layout", "positions", "printing", "scene", "labels", "legend")),
    *("scene/__init__", "scene/printing", "scene/svg", "scene/write", "model/words", "heat", "theme", "metrics"),
)
_PART = re.compile(r"^<!-- made: (\w+) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def save_files(text: str, folder: Path) -> None:
    """Save the named blocks of a page in a folder."""
    for block in blocks(text):
        block.save(folder)


# --- pages -----------------------------------------------------------------------------------------------


def generated(page: str) -> str:
    """Return the page with every output and every generated part renewed."""
    with tempfile.TemporaryDirectory() as name:
        done = run(page, Path(name))
    for failure in done.failures:
        print(failure, file=sys.stderr)
    return with_parts(done.text)


def with_parts(text: str) -> str:
    """Return a page with every generated part renewed."""
    return _PART.sub(lambda m: f"<!-- made: {m[1]} -->\n{_part(m[1])}<!-- end -->", text)


def _part(name: str) -> str:
    if not name.startswith("article_"):
        return PARTS[name]()
    from article import PARTS as article

    return article[name]()


# --- pictures --------------------------------------------------------------------------------------------


def request(name: str) -> Any:
    """Return the drawing request of a picture."""
    import archdsl
    from archdsl.drawing.model.drawing import View
    from archdsl.drawing.request import Options, Request

    page, spec, view, options = PICTURES[name]
    with tempfile.TemporaryDirectory() as folder:
        if page:
            save_files(read(page), Path(folder))
        network = archdsl.load(Path(folder) / spec if page else spec)
        return Request(network.graph, View(**view), Options(**options))


def drawing(name: str) -> str:
    """Return the DOT text of a picture and the code that paints it.

    They are the same on every machine, whereas Graphviz's layout differs.
    """
    from archdsl.drawing.graph.dot import to_dot
    from archdsl.drawing.model.compose import compose

    drawn = request(name)
    text = to_dot(compose(drawn.graph, drawn.view), drawn.options, whole=True)
    folder = ROOT / "archdsl" / "drawing"
    return text + "".join((folder / f"{name}.py").read_text(encoding="utf-8") for name in _PAINTERS)


def picture(name: str) -> str:
    """Return a picture as SVG: the existing file if it is current, which the hash of `drawing` in it shows."""
    from archdsl.drawing.diagram import draw

    text = drawing(name)
    mark = f"<!-- archdsl diagram; {hashlib.sha256(text.encode()).hexdigest()} -->\n"
    old = ROOT / "docs" / "pictures" / f"{name}.svg"
    if old.exists() and mark in old.read_text(encoding="utf-8"):
        return old.read_text(encoding="utf-8")
    head, end, rest = draw([request(name)]).data.decode().partition("?>\n")
    return head + end + mark + rest


def styled(name: str) -> str:
    """Return a picture in another style as SVG."""
    import archdsl

    page, specs, arguments = STYLED[name]
    with tempfile.TemporaryDirectory() as folder:
        save_files(read(page) if page else "", Path(folder))
        return archdsl.figure([Path(folder) / spec if page else spec for spec in specs]).diagram(**arguments).svg


# --- parts of pages --------------------------------------------------------------------------------------


def networks() -> str:
    """Return how many networks the library has, and from which years."""
    from archdsl.library.catalog import catalog

    entries = catalog()
    years = [entry.year for entry in entries if entry.year is not None]
    families = {entry.family for entry in entries}
    return (
        f"**The library** has {len(entries)} networks of {len(families)} families, published from {min(years)} to "
        f"{max(years)}.\n`archdsl list` prints them; [docs/library.md](docs/library.md) also has their "
        "papers and published figures.\n"
    )


def layers() -> str:
    """Return the parts of the package from the top layer down, each with the first sentence of its docstring."""
    tree = ast.parse(read("tests/house/test_house.py"))
    found = next(n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "LAYERS")
    rows = ["| layer | part | what it is |", "|--:|---|---|"]
    levels: list[tuple[str, ...]] = ast.literal_eval(found)
    for number, names in reversed(list(enumerate(levels, 1))):
        for part in (part for name in names if not name.startswith("__") for part in _parts(name)):
            rows.append(f"| {number} | `{part}` | {_first_sentence(ROOT / 'archdsl' / part)} |")
    return "\n".join(rows) + "\n"


def _parts(name: str) -> list[str]:
    """A file, or a package and the packages in it; for `backends`, which has no modules, only those."""
    folder = ROOT / "archdsl" / name
    if not folder.is_dir():
        return [f"{name}.py"]
    inner = sorted(f"{name}/{p.parent.name}/" for p in folder.glob("*/__init__.py"))
    return inner if name == "backends" else [f"{name}/", *inner]


def _first_sentence(path: Path) -> str:
    file = path / "__init__.py" if path.is_dir() else path
    doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=\.) (?=[A-Z`])", " ".join(doc.split("\n\n")[0].split()))[0]


def commands() -> str:
    """Return the commands, each with its line in `archdsl --help`."""
    from archdsl.cli import SECTIONS

    rows = ["| | command | |", "|---|---|---|"]
    for title, names in SECTIONS.items():
        for number, (name, line) in enumerate(names.items()):
            rows.append(f"| {'' if number else title} | `archdsl {name}` | {line} |")
    return "\n".join(rows) + "\n"


def pages() -> str:
    """Return the titles of all pages, each as a link, by the sections of the site's navigation."""
    lines, listed = [], {"errors.md", "index.md", "404.md"}
    for caption, names in re.findall(r":caption: (.*)\n(?:.*\n)*?\n((?:.+\n)+)```", read("docs/index.md")):
        paths = [path for name in names.split() for path in sorted(ROOT.glob(f"docs/{name}.md"))]
        files = [path.relative_to(ROOT / "docs").as_posix() for path in paths if "reference" not in path.parts]
        files = [file for file in dict.fromkeys(files) if file not in listed]
        listed |= {*files}
        lines.append(f"* {caption}: {', '.join(f'[{_title(file)}]({file})' for file in files)}.\n")
    lines.append(f"* Diagnostics: [{_title('errors.md')}](errors.md).\n")
    return "".join(lines)


def _title(page: str) -> str:
    return read(f"docs/{page}").partition("\n")[0].removeprefix("# ")


def lengths() -> str:
    """Return the lengths of specs and references; the existing table if other versions of the references are
    installed."""
    from lengths import table, versions

    old = next(m[2] for m in _PART.finditer(read("docs/lengths.md")) if m[1] == "lengths")
    return table() if not old or f"Counted in {versions()}. " in old else old


def mermaid() -> str:
    """Return a network as Mermaid, which GitHub draws."""
    import archdsl
    from archdsl.drawing.diagram import diagram

    return f"```mermaid\n{diagram(archdsl.load('lenet5').graph, 'mmd').data.decode()}```\n"


PARTS: dict[str, Callable[[], str]] = {
    "networks": networks,
    "layers": layers,
    "commands": commands,
    "pages": pages,
    "lengths": lengths,
    "mermaid": mermaid,
}


# --- all files -------------------------------------------------------------------------------------------


def everything() -> Iterator[tuple[str, str]]:
    """Yield path and text of every file that is generated completely or in part."""
    from article import picture as ball_chart
    from gallery import gallery_page, pictures
    from library_page import library_page
    from ops_page import ops_page

    for page in PAGES:
        yield page, generated(page)
    for name in PICTURES:
        yield f"docs/pictures/{name}.svg", picture(name)
    for name in STYLED:
        yield f"docs/pictures/{name}.svg", styled(name)
    yield "docs/ops.md", ops_page()
    yield from pictures()
    yield "docs/gallery.md", gallery_page()
    yield "docs/library.md", library_page()
    yield "docs/pictures/chart.svg", ball_chart()


def main() -> None:
    sys.path.insert(0, str(ROOT))
    for path, text in everything():
        file = ROOT / path
        file.parent.mkdir(exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            print("wrote", path)


if __name__ == "__main__":
    main()
