"""Drawings from Python: text, pages and files, and the errors of wrong arguments.

Tests `cli/diagram.py`, `drawing/shown.py`, `network/drawable.py` and `network/figure.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.drawing.save import SUFFIXES
from archdsl.network import Network

TINY = "name: tiny\ninput: 3x8x8\nnet:\n  conv: 3x3 conv 4 bn relu\n  pool: gap\n  fc: fc 10\n"


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    return archdsl.load("tiny.yaml")


@pytest.mark.parametrize("suffix", list(SUFFIXES))
def test_a_file_in_the_format_of_its_suffix(net: Network, suffix: str) -> None:
    saved = net.save_diagram(f"python{suffix}")
    assert (saved.format, saved.notes) == (SUFFIXES[suffix], ())
    assert (saved.path, saved.size) == (Path(f"python{suffix}"), Path(f"python{suffix}").stat().st_size)
    done = CliRunner().invoke(main, ["diagram", "tiny.yaml", "-o", f"command{suffix}"])
    assert done.exit_code == 0, done.output
    again = Path(f"command{suffix}").read_bytes()
    assert again == saved.path.read_bytes() or suffix == ".pdf"  # the names of fonts in a PDF are random
    assert len(again) == saved.size


def test_the_default_is_an_svg_here(net: Network) -> None:
    assert net.save_diagram().path == Path("tiny.svg")
    assert net.save_diagram(format="dot").path == Path("tiny.dot")
    assert net.save_diagram(format="tex", style="volumes").path == Path("tiny.tex")


def test_every_option_changes_the_drawing() -> None:
    net = archdsl.load("resnet18")
    plain = net.diagram()
    options: list[dict[str, Any]] = [
        {"level": "layer"},
        {"style": "volumes"},
        {"focus": "layer2.0"},
        {"expand": ["*"]},
        {"theme": "dark"},
        {"color": "macs"},
        {"shapes": False},
        {"title": "Mine"},
        {"legend": True},
        {"direction": "LR"},
        {"width_mm": 85},
    ]
    drawings = [net.diagram(**one) for one in options]
    assert len({drawn.svg for drawn in (plain, *drawings)}) == len(options) + 1


def test_a_notebook_shows_a_picture_and_a_page(net: Network) -> None:
    picture, page = net.diagram(focus="conv", style="article", title="Mine"), net.page()
    assert str(picture) == picture.svg and picture.svg.startswith("<?xml")
    shown = picture._repr_mimebundle_()
    assert shown["text/plain"] == picture.alt and "prefers-color-scheme" not in shown["image/svg+xml"]
    assert "prefers-color-scheme" in picture.svg and "Mine" in shown["image/svg+xml"]
    assert picture.caption.startswith("Mine: a convolution: conv.conv: input 3 \u00d7 8 \u00d7 8, 108 params, ")
    assert str(page) == page.html and page.html.startswith("<!doctype html>")
    frames: list[dict[str, str | None]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: frames.append(dict(attrs))  # type: ignore[method-assign]
    parser.feed(page._repr_html_())
    (frame,) = frames
    assert frame["srcdoc"] == page.html and frame["sandbox"] == "allow-scripts allow-downloads"


def test_what_is_shown_can_be_saved(net: Network) -> None:
    picture, page = net.diagram(level="layer", theme="dark"), net.page(color="macs")
    assert picture.save("a.svg").path.read_text().endswith(picture.svg.partition("\n")[2])
    assert picture.save("a.png", dpi=72).format == "png"
    assert page.save().path.read_text() == page.html and page.save().path == Path("tiny.html")
    with pytest.raises(ArchError) as caught:
        picture.save("tiny.yaml", "svg", force=True)
    assert caught.value.diagnostics[0].code == "E0001"


def test_what_is_simplified_is_a_note(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.drawing.request import Diagram

    monkeypatch.setattr("archdsl.drawing.save.draw", lambda *args: Diagram(b"<svg/>", "drawn block by block"))
    (note,) = net.save_diagram("x.svg").notes
    assert (note.code, note.severity, note.message) == ("N0719", "note", "drawn block by block")
    done = CliRunner().invoke(main, ["diagram", "tiny.yaml", "-o", "y.svg"])
    assert "note[N0719]: drawn block by block" in done.stderr


WRONG: dict[str, tuple[str, Callable[[Any], object]]] = {
    "theme": ("E0001", lambda net: net.diagram(theme="drak")),
    "style": ("E0001", lambda net: net.diagram(style="cubes")),
    "level": ("E0001", lambda net: net.diagram(level="blocks")),
    "color": ("E0001", lambda net: net.diagram(color="mac")),
    "direction": ("E0001", lambda net: net.diagram(direction="lr")),
    "format": ("E0001", lambda net: net.save_diagram("x.svg", format="jpeg")),
    "suffix": ("E0001", lambda net: net.save_diagram("x.jpeg")),
    "format of the style": ("E0714", lambda net: net.save_diagram("x.dot", style="article")),
    "fragment of a picture": ("E0003", lambda net: net.save_diagram("x.svg", fragment=True)),
    "fragments of steps": ("E0003", lambda net: net.save_diagram("x.pptx", fragment=True, steps=True)),
    "true scale of a graph": ("E0003", lambda net: net.diagram(true_scale=True)),
    "true scale of a page": ("E0003", lambda net: net.save_diagram("x.html", true_scale=True)),
    "page": ("E0001", lambda net: net.page(theme="drak")),
    "level of a page": ("E0001", lambda net: net.page(level="blocks")),
    "expand of a page": ("E0004", lambda net: net.page(expand="pool")),
    "focus": ("E0713", lambda net: net.diagram(focus="nowhere")),
    "focus of a number": ("E0004", lambda net: net.diagram(focus=[1])),
    "expand": ("E0713", lambda net: net.diagram(expand=["nowhere"])),
    "one expand": ("E0004", lambda net: net.diagram(expand="conv")),
    "title": ("E0004", lambda net: net.diagram(title=7)),
    "shapes": ("E0004", lambda net: net.diagram(shapes="no")),
    "legend": ("E0004", lambda net: net.diagram(legend="no")),
    "dpi": ("E0002", lambda net: net.save_diagram("x.png", dpi=5)),
    "width": ("E0002", lambda net: net.diagram(width_mm=5)),
    "width of a fraction": ("E0002", lambda net: net.diagram(width_mm=85.5)),
    "folder": ("E0701", lambda net: net.save_diagram("missing/x.svg")),
    "spec": ("E0001", lambda net: net.save_diagram("tiny.yaml", "svg", force=True)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_have_a_code_and_write_nothing(case: str, net: Network) -> None:
    code, call = WRONG[case]
    with pytest.raises(ArchError) as caught:
        call(net)
    assert (caught.value.diagnostics[0].code, caught.value.status) == (code, 2)
    assert [p.name for p in Path().iterdir()] == ["tiny.yaml"]


def test_networks_side_by_side_are_one_figure(net: Network) -> None:
    """The library and the command draw the same; each network has its letter, and the caption what it shows."""
    figure = archdsl.figure([net, "lenet5"])
    svg = figure.diagram(style="volumes").svg
    assert svg.count('class="panel"') == 2 and "(a) tiny</text>" in svg and "(b) lenet5</text>" in svg
    assert "(b) lenet5: input 1 \u00d7 32 \u00d7 32, 61.71 k params" in svg
    done = CliRunner().invoke(main, ["diagram", "tiny.yaml", "lenet5", "--style", "volumes"])
    assert done.exit_code == 0 and "wrote tiny-lenet5.svg" in done.stderr
    assert svg.partition("\n")[2] in Path("tiny-lenet5.svg").read_text()
    assert repr(figure) == "<Figure tiny, lenet5>" and figure.files == net.files + archdsl.load("lenet5").files


def test_each_network_has_its_own_focus_or_one_has_several(net: Network) -> None:
    own = archdsl.figure(["resnet20", "densenet_bc100_k12"]).diagram(style="article", focus=["layer2.0", ""]).svg
    assert "(a) resnet20: a residual block: layer2.0" in own and "(b) densenet_bc100_k12: a dense block" in own
    several = archdsl.load("resnet20").diagram(focus=["layer1", "layer2"], style="volumes").svg
    assert several.count('class="panel"') == 2 and "(b) resnet20: layer2" in several
    done = CliRunner().invoke(main, ["diagram", "resnet20", "lenet5", *["--focus", "fc"] * 3])
    assert done.exit_code == 2 and "E0726" in done.stderr and "3 focuses for 2 networks" in done.stderr
    assert list(Path.cwd().glob("*.svg")) == []


def test_a_figure_has_a_format_for_several_and_a_letter_for_each(net: Network) -> None:
    for wrong in (
        lambda: archdsl.figure([]),
        lambda: archdsl.figure([net] * 27).diagram(),
        lambda: archdsl.figure([net, net]).page(),
        lambda: archdsl.figure([net, net]).save_diagram("x.mmd"),
    ):
        with pytest.raises(ArchError) as caught:
            wrong()
        assert caught.value.diagnostics[0].code == "E0726"
    with pytest.raises(ArchError, match="networks"):
        archdsl.figure("lenet5")  # type: ignore[arg-type]
