"""Convert SVG to PNG and PDF with resvg and svg2pdf, without a system package.

Text is set in Arimo, whose widths the layout uses, or in Archdsl Serif. System fonts are used only for characters that
they lack.
"""

from __future__ import annotations

import re
from struct import pack
from unicodedata import category, combining

from archdsl.diagnostics import error
from archdsl.drawing.metrics import EMBEDDED, FAMILIES, FONTS
from archdsl.files.overwrite_marks import with_chunk
from archdsl.packages import require_package

_FILES = [str(FONTS / f"{name}-{style}.ttf") for name in ("Arimo", "ArchdslSerif") for style in ("Regular", "Bold")]
_GLYPHS = (
    ("\t", "~"),
    ("\u00a0", "\u017f"),
    ("\u0391", "\u03a1"),
    ("\u03a3", "\u03ce"),
    ("\u0401", "\u040c"),
    ("\u040e", "\u044f"),
    ("\u0451", "\u045c"),
    ("\u2010", "\u2015"),
    ("\u2017", "\u2022"),
    ("\u2025", "\u2026"),
    ("\u2190", "\u2193"),
)
"""Ranges of characters (first, last) in these files."""
_POINTS = 72
_METERS_PER_INCH = 0.0254
_SIZE = re.compile(r' width="([0-9.]+)" height="([0-9.]+)"')
"""The size of an SVG in points: the first such attributes in it are those of its root."""
_MAX_PIXELS = 150_000_000
_ONE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">'
    '<text y="12" font-family="Arimo" font-size="12">{}</text></svg>'
)
"""A picture of one character."""
_MOST_LOOKED_UP = 32


def png(svg: str, dpi: int, title: str = "", caption: str = "") -> bytes:
    """Convert an SVG to a PNG of `dpi` pixels per inch with its size on paper and both texts.

    Width and height are rounded to whole pixels. Raises, with status 2, E0715 for more than 150 million pixels and
    E0716 if resvg is not installed.
    """
    require_package("resvg_py", "E0716")
    size = _SIZE.search(svg)
    assert size is not None
    width, height = (max(1, round(float(points) * dpi / _POINTS)) for points in size.groups())
    if width * height > _MAX_PIXELS:
        raise error(
            "E0715",
            f"the picture would have {width} x {height} pixels",
            status=2,
            help="use a smaller `--dpi`, `--level block`, or write a PDF",
        )
    text = _with_own_font(
        f'{svg[: size.start()]} width="{width}" height="{height}" preserveAspectRatio="none"{svg[size.end() :]}'
    )
    data = _rendered(text)
    for key, value in ((b"Description", caption), (b"Title", title)):
        data = with_chunk(data, b"iTXt", key + bytes(5) + value.encode()) if value else data
    per_meter = round(dpi / _METERS_PER_INCH)
    return with_chunk(data, b"pHYs", pack(">IIB", per_meter, per_meter, 1))


def without_glyph(text: str) -> list[str]:
    """Return the characters of a text that neither the bundled fonts nor those of the system have, each once.

    Nothing is drawn for such a character. At most 32 characters that the bundled fonts lack are looked up. Raises E0716
    (status 2) if resvg is not installed.
    """
    others = [c for c in dict.fromkeys(text) if not (_has_glyphs(c) or combining(c) or category(c)[0] == "Z")]
    if not others:
        return []
    require_package("resvg_py", "E0716")
    empty = _rendered(_ONE.format(" "))
    return [c for c in others[:_MOST_LOOKED_UP] if _rendered(_ONE.format(c)) == empty]


def pdf(svg: str, title: str = "", caption: str = "") -> bytes:
    """Convert an SVG to a PDF of one page with this title and subject, its text with embedded fonts.

    Raises E0716 (status 2) if svg2pdf is not installed.
    """
    require_package("svg2pdf_py", "E0716")
    import svg2pdf_py

    fonts = svg2pdf_py.FontDatabase()
    for name in _FILES:
        fonts.load_font_file(name)
    text = _with_own_font(svg)
    if not _has_glyphs(text):
        fonts.load_system_fonts()
    return _titled(bytes(svg2pdf_py.svg_to_pdf(text, fonts)), {"Title": title, "Subject": caption})


def _rendered(svg: str) -> bytes:
    import resvg_py

    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg, font_files=_FILES, sans_serif_family="Arimo", skip_system_fonts=_has_glyphs(svg)
        )
    )


def _titled(data: bytes, texts: dict[str, str]) -> bytes:
    """A PDF of svg2pdf with texts in its information dictionary, which is its last object."""
    head, info, tail = data.rpartition(b"/Producer (svg2pdf)")
    before, start, after = tail.rpartition(b"startxref\n")
    if not info or not start:
        return data
    hexadecimal = {key: b"\xfe\xff" + text.encode("utf-16-be") for key, text in texts.items() if text}
    added = "".join(f"\n  /{key} <{text.hex()}>" for key, text in hexadecimal.items()).encode()
    offset = int(after.split()[0]) + len(added)
    return head + info + added + before + start + b"%d\n%%%%EOF" % offset


def _has_glyphs(text: str) -> bool:
    """Whether the bundled fonts have every character of the text."""
    return all(any(low <= char <= high for low, high in _GLYPHS) for char in set(text))


def _with_own_font(svg: str) -> str:
    """Put the bundled font first: a system's Helvetica may be any font."""
    for font, family in FAMILIES.items():
        svg = svg.replace(family, f"'{EMBEDDED[font]}', {family}", 1)
    return svg
