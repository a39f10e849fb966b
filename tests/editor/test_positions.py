"""Positions, compared with how Python counts the characters of an encoding."""

from __future__ import annotations

import pytest

from archdsl.editor.positions import Position, Positions, Unit

TEXT = "# größer 🙂\nname: ü🙂x\r\n\nnet: fc 1\r\n"


@pytest.mark.parametrize("unit", ["utf-8", "utf-16", "utf-32"])
def test_every_offset_has_a_position_and_back(unit: Unit) -> None:
    lines = Positions(TEXT, unit)
    for offset in range(len(TEXT) + 1):
        line, character = lines.position(offset)
        before = TEXT[:offset].replace("\r\n", "\n").split("\n")
        codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[unit]
        width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[unit]
        if TEXT[offset - 1 : offset + 1] != "\r\n":
            assert (line, character) == (len(before) - 1, len(before[-1].encode(codec)) // width)
            assert lines.offset(line, character) == offset


def test_the_emoji_has_two_characters_in_utf_16() -> None:
    lines = Positions(TEXT)
    assert lines.position(TEXT.index("\n")) == Position(0, 11)
    assert lines.offset(0, 11) == lines.line_end(0) == 10


def test_positions_outside_of_the_text_are_at_its_ends() -> None:
    lines = Positions(TEXT)
    assert lines.offset(99, 0) == len(TEXT)
    assert lines.offset(1, 99) == TEXT.index("\r\n")


def test_a_lone_carriage_return_ends_a_line_as_in_the_protocol() -> None:
    assert Positions("a\rb\nc").position(2) == Position(1, 0)
    assert Positions("a\u2028b\nc").position(2) == Position(0, 2)
