"""Characters of labels in LaTeX, and notes on those that a picture lacks: `archdsl.drawing.scene.letters`."""

from __future__ import annotations

import shutil
import subprocess
from itertools import count
from pathlib import Path
from unicodedata import category

import pytest

import archdsl
from archdsl.drawing import picture
from archdsl.drawing.scene.letters import listed, not_in_tex, quote

LABEL = "\u03b1 \u2264 \u0394x\u00b2 \u2217 \u6f22"
SPEC = f"input: 3x8x8\nname: n\nnet: {{a: {{op: conv, out: 4, kernel: 3, label: '{LABEL}'}}}}"


@pytest.mark.parametrize(
    "text, tex",
    [
        ("\u03b1\u039b\u03c2", r"\ensuremath{{\alpha}}\ensuremath{{\Lambda}}\ensuremath{{\varsigma}}"),
        ("\u0391\u03a1\u03bf", "APo"),
        ("\u2264\u2217\u221e", r"\ensuremath{{\leq}}\ensuremath{{\ast}}\ensuremath{{\infty}}"),
        ("x\u00b2\u2099", r"x\textsuperscript{2}\textsubscript{n}"),
        ("\u00bd \uff21 \ufb01", "1/2 A fi"),
        ("\u0175 \u012b w\u0302", r"\^{w} \={\i} \^{w}"),
        ("\u6f22 \u1ebf \u2460", "[U+6F22] [U+1EBF] [U+2460]"),
    ],
)
def test_characters_in_latex(text: str, tex: str) -> None:
    assert quote(text) == tex
    assert bool(not_in_tex(text)) == ("[U+" in tex)


def test_a_note_lists_the_characters_that_a_picture_lacks(tmp_path: Path) -> None:
    net = archdsl.loads(SPEC)
    saved = net.save_diagram(tmp_path / "x.tex")
    (note,) = saved.notes
    assert note.code == "N0719"
    assert note.message == "LaTeX's default fonts lack `\u6f22` (U+6F22): written as their numbers"
    assert net.save_diagram(tmp_path / "x.svg").notes == ()
    assert listed("abcdefghij", "no font has", "left out").endswith("`h` (U+0068), 2 more: left out")


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_a_picture_notes_only_what_no_font_has(format: str, tmp_path: Path) -> None:
    rare = "\U0001d2e0"  # a Mayan numeral
    net = archdsl.loads(SPEC.replace("\u6f22", "\u00e9"))
    assert net.save_diagram(tmp_path / f"x.{format}", title="\u03b1 \u00d7").notes == ()
    (note,) = net.save_diagram(tmp_path / f"y.{format}", title=f"a{rare}").notes
    assert note.message == f"no font has `{rare}` (U+1D2E0): left out"


def test_at_most_32_characters_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count()
    monkeypatch.setattr(picture, "_rendered", lambda svg: bytes(0 * next(calls)))
    assert len(picture.without_glyph("".join(map(chr, range(0x4E00, 0x4F00))))) == 32
    assert next(calls) == 33, "each, and an empty picture"


def test_a_convolution_has_no_character_that_fonts_lack(tmp_path: Path) -> None:
    for format in ("tex", "png"):
        saved = archdsl.load("edge_filter").save_diagram(tmp_path / f"x.{format}", style="article")
        assert saved.notes == ()
    assert "U+" not in (tmp_path / "x.tex").read_text()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_knows_every_command(tmp_path: Path) -> None:
    known = [c for c in map(chr, range(0xA0, 0x2FFF)) if category(c)[0] not in "ZC" and not not_in_tex(c)]
    assert len(known) > 600
    lines = "\n\n".join(quote(c) for c in known)
    head = r"\documentclass{article}\usepackage[utf8]{inputenc}\begin{document}\sffamily"
    (tmp_path / "x.tex").write_text(f"{head}\n{lines}\n\\end{{document}}", encoding="utf-8")
    done = subprocess.run(["pdflatex", "-halt-on-error", "x.tex"], cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0 and b"Missing character" not in (tmp_path / "x.log").read_bytes(), done.stdout
