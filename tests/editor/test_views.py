"""Hover, outline, folds, messages, repairs and formatting."""

from __future__ import annotations

import pytest

from archdsl.diagnostics import Diagnostic, Edit, Fix, Source, Span
from archdsl.editor.edits import fixes, formatting
from archdsl.editor.hover import hover, op_text
from archdsl.editor.outline import folds, outline
from archdsl.editor.positions import Positions
from archdsl.explain import page
from archdsl.ops import OPS_BY_NAME
from tests.editor.texts import TINY, at, snapshot


@pytest.mark.parametrize(
    ("place", "texts"),
    [
        (
            "st|em: 3x3",
            ["**stem** (conv, bn, relu)", "output `16 x 32 x 32` = `16 x H x W`", "parameters 464", "field 3 p"],
        ),
        ("3x3 co|nv width", ["MACs 442,368", "**conv**: Convolution", "`stride`: step of the window"]),
        ("bo|dy:", ["**body**", "`32 x 16 x 16`", "parameters 33,"]),
        ("conv1: 3x|3 conv", ["built in 3 calls"]),
        ("bas|ic(32, 2", ["block `basic`", "basic(w, s=1):"]),
        ("fc cla|sses", ["argument `classes`", "classes: 10"]),
        ("defa|ults", ["default fields"]),
        ("resi|dual", ["the body, whose output is added"]),
    ],
)
def test_hover(place: str, texts: list[str]) -> None:
    found = hover(snapshot(), at(place))
    assert found is not None
    for text in texts:
        assert text in found.text


def test_hover_of_a_code_explains_it() -> None:
    text = TINY.replace("pool: gap", "pool: gap # error: E0412")
    found = hover(snapshot(text), text.index("E0412") + 2)
    assert found is not None and "# E0412: " in found.text and "## Wrong" in found.text


def test_hover_of_nothing() -> None:
    assert hover(snapshot(), 0) is None
    assert hover(snapshot(""), 0) is None


def test_the_doc_of_a_block() -> None:
    text = TINY.replace("    residual:", "    doc: two convolutions\n    residual:")
    found = hover(snapshot(text), text.index("same") + 1)
    assert found is not None and "two convolutions" in found.text


@pytest.mark.parametrize("op", OPS_BY_NAME.values(), ids=OPS_BY_NAME)
def test_every_op_has_a_text(op: type) -> None:
    text = op_text(op)
    assert text.startswith(f"**{op.name}**: ") and "- Parameters: " in text  # type: ignore[attr-defined]


def test_outline() -> None:
    items = {item.name: item for item in outline(snapshot())}
    assert list(items) == ["name", "input", "args", "defaults", "blocks", "net", "variants"]
    (basic,) = items["blocks"].children
    assert (basic.name, basic.kind) == ("basic(w, s=1)", "block")
    stem = items["net"].children[0]
    assert (stem.name, stem.kind, stem.detail) == ("stem", "node", "3x3 conv width → 16 x 32 x 32")
    assert [child.kind for child in items["args"].children] == ["argument", "argument"]


def test_an_item_contains_its_key_and_its_children() -> None:
    stack = list(outline(snapshot()))
    while stack:
        item = stack.pop()
        assert item.span.start <= item.key.start <= item.key.end <= item.span.end
        for child in item.children:
            assert item.span.start <= child.span.start and child.span.end <= item.span.end
        stack += item.children


def test_folds() -> None:
    text = "# a\n# b\n" + TINY
    lines = text.split("\n")
    found = folds(snapshot(text), Positions(text))
    assert (0, 2, True) in found  # the comment of TINY follows
    assert (lines.index("blocks:"), lines.index("    then: relu"), False) in found
    assert (lines.index("net:"), lines.index("  fc: fc classes"), False) in found


def test_the_message_is_that_of_check() -> None:
    d = Diagnostic("E0412", "wrong", None, "here", notes=("in a",), help="write b")
    assert d.text == "wrong\nhere\nin a\nhelp: write b"
    assert page("E0412").address.startswith("https://") and "/errors.md#e0412-" in page("E0412").address


def test_repairs_at_the_cursor() -> None:
    source = Source("a.yaml", "a: b\n")
    span = Span(source, 3, 4)
    guess, sure = (Fix(title, (Edit(span, "c"),), safe) for title, safe in (("guess", False), ("sure", True)))
    foreign = Fix("foreign", (Edit(Span(Source("b.yaml", "x"), 0, 1), ""),), True)
    wrong = Diagnostic("E0301", "wrong", span, fixes=(guess, sure, foreign))
    found = snapshot()
    object.__setattr__(found, "source", source)
    object.__setattr__(found, "report", type("Report", (), {"diagnostics": (wrong,)}))
    assert [fix.title for _, fix in fixes(found, 4, 4)] == ["sure", "guess"]
    assert not list(fixes(found, 0, 2))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_formatting_changes_only_what_differs(end: str) -> None:
    text = TINY.replace("stem: 3x3 conv width", "stem: {op: conv, kernel: [3, 3], out: width}").replace("\n", end)
    edit = formatting(Source("a.yaml", text))
    assert edit is not None
    assert text[: edit.span.start] + edit.text + text[edit.span.end :] == TINY.replace("\n", end)
    assert formatting(Source("a.yaml", TINY.replace("\n", end))) is None
    assert formatting(Source("a.yaml", "net: [")) is None
