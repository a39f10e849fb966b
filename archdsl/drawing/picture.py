"""SVG to PNG and PDF, with no system package: resvg and svg2pdf, and the font that our drawings are measured with.

Fonts of the system only serve for what Arimo lacks.
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
"""First and last of the characters that are in them."""
_POINTS = 72
_MAX_PIXELS = 150_000_000


def png(svg: bytes, options: Options) -> bytes:
    """A PNG of `options.dpi` pixels per inch. Raises E0715 (status 2) for one that would be too large."""
    require_package("resvg_py", "E0711")
    import resvg_py

    zoom = options.dpi / _POINTS
    width, height = size(svg)
    if width * height * zoom * zoom > _MAX_PIXELS:
        raise error(
            "E0715",
            f"the picture would have {width * zoom:.0f} x {height * zoom:.0f} pixels",
            status=2,
            help="a smaller `--dpi`, `--level block`, or a PDF",
        )
    text = _ours(svg)
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
    """A PDF of one page: vectors, and text with its font embedded."""
    require_package("svg2pdf_py", "E0711")
    import svg2pdf_py

    fonts = svg2pdf_py.FontDatabase()
    for name in _FILES:
        fonts.load_font_file(str(FONTS / name))
    text = _ours(svg)
    if not _has_glyphs(text):
        fonts.load_system_fonts()
    return bytes(svg2pdf_py.svg_to_pdf(text, fonts))


def size(svg: bytes) -> tuple[float, float]:
    """Width and height of an SVG, by its root."""
    import re

    found = re.search(rb'<svg[^>]*? width="([0-9.]+)[a-z]*"[^>]*? height="([0-9.]+)', svg)
    assert found is not None
    return float(found[1]), float(found[2])


def _has_glyphs(text: str) -> bool:
    """Whether Arimo, as we have it, can write the text: those of other scripts need a font of the system."""
    return all(any(low <= char <= high for low, high in _GLYPHS) for char in set(text))


def _ours(svg: bytes) -> str:
    """Arimo first: Helvetica may be anything."""
    from archdsl.drawing.metrics import FAMILY

    return svg.decode().replace(FAMILY, f"Arimo, {FAMILY}")
