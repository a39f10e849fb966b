"""Rows in aligned columns, and text that is shown as it is.

Tests `report/grid.py` and `report/text.py`.
"""

from __future__ import annotations

from xml.etree import ElementTree

from archdsl.report.grid import grid
from archdsl.report.table import Style
from archdsl.report.text import visible, xml

TITLES, ROWS = ("name", "size", "note"), (("a", "1", "first"), ("longer", "1,000", "x\x1b[0m"))


def test_columns_are_aligned() -> None:
    lines = grid(TITLES, ROWS, {"size"}, Style()).splitlines()
    assert lines[0] == "name     size  note"
    assert lines[2] == "a           1  first"
    assert lines[3].startswith("longer  1,000  x") and "\x1b" not in lines[3]
    assert set(lines[1]) <= {"-", "─"} and len(lines[1]) == max(map(len, (lines[0], *lines[2:])))


def test_a_narrow_grid_leaves_columns_out_and_lists_them() -> None:
    lines = grid(TITLES, ROWS, {"size"}, Style(width=14), ("note", "size")).splitlines()
    assert lines[0] == "name     size"
    assert lines[-1] == "omitted to fit the width: note"


def test_text_is_shown_as_it_is() -> None:
    hostile = "a\tb<c>&\"'\u202e\x00\ufffe"
    shown = visible(hostile)
    assert shown.isprintable() and shown.startswith("a b<c>&")
    element = ElementTree.fromstring(f'<a b="{xml(hostile)}">{xml(hostile)}</a>')
    assert element.text == element.get("b") == shown
