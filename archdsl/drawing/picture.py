"""Convert SVG to PNG and PDF with resvg and svg2pdf, without a system package.

Text is set in Arimo, whose widths the layout uses. System fonts are used only for characters that Arimo lacks.
"""

from __future__ import annotations

from archdsl.diagnostics import error
from archdsl.drawing.metrics import FONTS
from archdsl.drawing.request import Options
from archdsl.packages import require_package

_FILES = ("Arimo-Regular.ttf", "Arimo-Bold.ttf")
_GLYPHS = (
    ("\t", "~"),
    ("\u00a0", "\u017f"),
    ("\u0370", "\u03ff"),
    ("\u0400", "\u045f"),
    ("\u2010", "\u2026"),
    ("\u2190", "\u2193"),
)
"""Ranges of characters (first, last) in these files."""
_POINTS = 72
_MAX_PIXELS = 150_000_000


def png(svg: bytes, options: Options) -> bytes:
    """Convert an SVG to a PNG of `options.dpi` pixels per inch.

    Raises, with status 2, E0715 for more than 150 million pixels and E0716 if resvg is not installed.
    """
    require_package("resvg_py", "E0716")
    import resvg_py

    zoom = options.dpi / _POINTS
    width, height = size(svg)
    if width * height * zoom * zoom > _MAX_PIXELS:
        raise error(
            "E0715",
            f"the picture would have {width * zoom:.0f} x {height * zoom:.0f} pixels",
            status=2,
            help="use a smaller `--dpi`, `--level block`, or write a PDF",
        )
    text = _with_arimo(svg)
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=text,
            zoom=zoom,
            font_files=[str(FONTS / name) for name in _FILES],
            sans_serif_family="Arimo",
            skip_system_fonts=_has_glyphs(text),
        )
    )


def pdf(svg: bytes, options: Options) -> bytes:
    """Convert an SVG to a PDF of one page, its text with embedded fonts.

    Raises E0716 (status 2) if svg2pdf is not installed.
    """
    require_package("svg2pdf_py", "E0716")
    import svg2pdf_py

    fonts = svg2pdf_py.FontDatabase()
    for name in _FILES:
        fonts.load_font_file(str(FONTS / name))
    text = _with_arimo(svg)
    if not _has_glyphs(text):
        fonts.load_system_fonts()
    return bytes(svg2pdf_py.svg_to_pdf(text, fonts))


def size(svg: bytes) -> tuple[float, float]:
    """Return the width and height in points that the root element of an SVG states."""
    import re

    match = re.search(rb'<svg[^>]*? width="([0-9.]+)[a-z]*"[^>]*? height="([0-9.]+)', svg)
    assert match is not None
    return float(match[1]), float(match[2])


def _has_glyphs(text: str) -> bool:
    """Whether the bundled Arimo has every character of the text."""
    return all(any(low <= char <= high for low, high in _GLYPHS) for char in set(text))


def _with_arimo(svg: bytes) -> str:
    """Put Arimo first: a system's Helvetica may be any font."""
    from archdsl.drawing.metrics import FAMILY

    return svg.decode().replace(FAMILY, f"Arimo, {FAMILY}")
