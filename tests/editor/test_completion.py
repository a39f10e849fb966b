"""What is offered at the cursor."""

from __future__ import annotations

import pytest

from archdsl.editor.completion import complete
from archdsl.editor.cursor import cursor_at
from tests.editor.texts import TINY, snapshot

OFFERED = [
    ("  x: ", "conv basic dense maxpool width"),
    ("  x: 3x3 co", "conv concat"),
    ("  x: 3x3 conv w", "weight= width"),
    ("  x: 3x3 conv 3 ", "stride= groups= nobias relu bn linear plain same"),
    ("  x: 3x3 conv 3 pad=s", "same"),
    ("  x: basic(", "w= s= width classes"),
    ("  x: concat <- st", "stem input"),
    ("  x: add <- body.", "stem"),
    ("  x: {re", "residual:  repeat:  "),
    ("  x: {residual: [3x3 conv 3, ", "conv"),
    ("  x: [rel", "relu relu6"),
    ("  x: {op: co", "conv"),
    ("  x: {residual: {a: gap}, shortcut: p", "project pad"),
    ("  x: 3x3 conv 3 when wi", "width not"),
    ("extends: re", "resnet18 resnet50"),
    ("defaults: {co", "conv:  "),
    ("defaults: {naming: s", "sibling"),
    ("task: c", "classification"),
    ("out", "outputs:  "),
    ("claims: {pa", "params:  "),
    ("preprocess: im", "imagenet"),
    ("aux: {a: {fr", "from:  "),
    ("args: {w: {sc", "scale:  "),
    ("args: {w: {default: 1, scale: w", "width"),
    ("aux: {a: {from: st", "stem"),
    ("outputs: {a: st", "stem"),
]


@pytest.mark.parametrize(("line", "offered"), OFFERED, ids=[line for line, _ in OFFERED])
def test_offered(line: str, offered: str) -> None:
    text = TINY.replace("  pool: gap", f"{line}\n  pool: gap")
    offset = text.index(f"{line}\n  pool") + len(line)
    texts = {one.text.strip() for one in complete(snapshot(text), text, offset)}
    assert set(offered.split()) <= texts


def test_arguments_of_a_block_are_offered_in_it_only() -> None:
    inside = TINY.index("    then: relu") + len("    then: relu")
    assert "w" in {one.text for one in complete(snapshot(), TINY, inside)} - {"width"}
    outside = TINY.index("gap") + 3
    assert "w" not in {one.text for one in complete(snapshot(), TINY, outside)}


def test_keys_that_are_written_are_not_offered_again() -> None:
    text = TINY + "n"
    assert not {"net: ", "name: "} & {one.text for one in complete(snapshot(text), text, len(text))}


def test_arguments_are_keys_of_a_variant() -> None:
    text = TINY + "  more: {cl"
    assert "classes: " in {one.text for one in complete(snapshot(text), text, len(text))}


def test_the_detail_of_an_op_is_the_text_that_hover_shows() -> None:
    details = {one.text: one.detail for one in complete(snapshot(), TINY, TINY.index("gap"))}
    assert details["relu"] == "`max(x, 0)`."
    assert details["conv"].startswith("Convolution")


def test_nothing_is_offered_in_a_comment() -> None:
    text = TINY + "net # co"
    assert complete(snapshot(text), text, len(text)) == []


@pytest.mark.parametrize(
    ("text", "path", "words", "is_key"),
    [
        ("net:\n  a: co", ("net", "a"), "co", False),
        ("net:\n- a\n- b c", ("net",), "b c", False),
        ("net:\n  - a:\n      b", ("net", "a"), "b", True),
        ("net: {a: [x, y z", ("net", "a"), "y z", False),
        ("net: {a: [x, y z], b: q(1, 2", ("net", "b"), "q(1, 2", False),
        ("blocks:\n  f(a, b) <- x, y:\n    c: d", ("blocks", "f(a, b) <- x, y", "c"), "d", False),
        ("a: 1\n\n", (), "", True),
        ("net:\n  # note: x\n\n  a", ("net",), "a", True),
        ("net:\r\n  a: co", ("net", "a"), "co", False),
    ],
)
def test_the_cursor(text: str, path: tuple[str, ...], words: str, is_key: bool) -> None:
    cursor = cursor_at(text, len(text))
    assert (cursor.path, cursor.words, cursor.is_key) == (path, words, is_key)
