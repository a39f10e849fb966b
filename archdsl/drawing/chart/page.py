"""The ball chart as one HTML page without external resources: the drawing, notes and a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from archdsl.diagnostics import escape_control
from archdsl.version import __version__

_PAGE = """\
<!DOCTYPE html>
<!-- drawn by archdsl {version} -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{
  font: 15px/1.45 system-ui, "Helvetica Neue", Arial, sans-serif; color: #111; background: #fff;
  margin: 1.5rem auto; max-width: 112rem; padding: 0 1rem;
}}
svg {{ min-width: 100%; height: auto; }}
{hover}
@media (prefers-color-scheme: dark) {{
  body {{ color: #ddd; background: #111; }}
  svg {{ filter: invert(.93) hue-rotate(180deg); }}
  th, td {{ border-color: #444 !important; }}
}}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }}
th, td {{ padding: .15rem .7rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }}
.right {{ text-align: right; }}
</style>
</head>
<body>
<h1>{title}</h1>
<div>{svg}</div>
{notes}
<div><table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table></div>
</body>
</html>
"""


def chart_page(
    svg: bytes, title: str, notes: Sequence[str], columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]
) -> bytes:
    """Return the HTML page; `columns` are titles, each with whether the column is right-aligned."""
    drawing = svg.decode()

    def line(tag: str, cells: Sequence[str]) -> str:
        classes = (' class="right"' if right else "" for _, right in columns)
        return "".join(f"<{tag}{c}>{_text(cell)}</{tag}>" for c, cell in zip(classes, cells, strict=True))

    return _PAGE.format(
        version=__version__,
        title=_text(title),
        svg=drawing[drawing.index("<svg") :],
        hover="\n".join(_hover(re.findall(r'id="ball-(\d+)"', drawing))),
        notes="\n".join(f"<p>{_text(note[:1].upper() + note[1:])}</p>" for note in notes),
        head=line("th", [name for name, _ in columns]),
        body="\n".join(f"<tr>{line('td', row)}</tr>" for row in rows),
    ).encode()


def _hover(numbers: Sequence[str]) -> Iterator[str]:
    """Style rules: under the pointer a ball and its name, each found by the other, stand out, and the others fade."""
    if numbers:
        marks = ':is([id^="ball-"], [id^="name-"], [id^="leader-"])'
        yield f"svg:has({marks}:hover) {marks} {{ opacity: .15; }}"
        both = (f":is(#ball-{n}, #name-{n}, #leader-{n})" for n in numbers)
        yield ", ".join(f"svg:has({each}:hover) {each}" for each in both) + " { opacity: 1; }"


def _text(text: str) -> str:
    return escape(escape_control(text))
