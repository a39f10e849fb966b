"""Definitions, references and renaming."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import archdsl
from archdsl.diagnostics import ArchError, Source
from archdsl.editor.names import definitions, occurrence_at, occurrences, references, rename
from archdsl.editor.snapshot import snapshots
from archdsl.source import read
from archdsl.spec.find import library_files
from tests.editor.texts import TINY, at, snapshot


def lines(spans: object) -> list[str]:
    return [f"{span.line}:{span.text}" for span in spans]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("place", "defined"),
    [
        ("conv wid|th", "4:width"),
        ("wide: {wi|dth", "4:width"),
        ("bas|ic(32, 2", "7:basic"),
        ("conv |w /s", "7:w"),
        ("/|s", "7:s"),
        ("fc cla|sses", "4:classes"),
    ],
)
def test_definitions(place: str, defined: str) -> None:
    assert lines(definitions(snapshot(), at(place))) == [defined]


def test_a_reference_leads_to_the_nearest_node_of_the_name() -> None:
    text = "input: 3x8x8\nnet:\n  a: 3x3 conv 4\n  b:\n    a: relu\n    c: add <- a, ..a\n  d: add <- b.a, a\n"
    found = snapshot(text)
    last = text.rindex("b.a, a")
    inner = text.index("<- a") + 3
    assert lines(definitions(found, inner)) == ["5:a"]
    assert lines(definitions(found, inner + 5)) == ["3:a"]
    assert lines(definitions(found, last)) == ["4:b"]
    assert lines(definitions(found, last + 2)) == ["5:a"]
    assert lines(definitions(found, last + 5)) == ["3:a"]


def test_extends_leads_to_the_base(tmp_path: Path) -> None:
    text = "extends: resnet18\nargs: {classes: 3}\n"
    found = snapshot(text, path=tmp_path / "a.yaml")
    (base,) = definitions(found, text.index("resnet18"))
    assert base.source.path is not None and base.source.path.name == "resnet50.yaml"
    (classes,) = definitions(found, text.index("classes"))
    assert classes.source.path == base.source.path


def test_references_include_the_variants() -> None:
    here = occurrence_at(snapshot(), at("conv wid|th"))
    assert here is not None
    assert lines(one.span for one in references(snapshot(), here.symbol)) == ["4:width", "13:width", "19:width"]


@pytest.mark.parametrize("place", ["{class|es", "bas|ic(w", "basic(|w", "ste|m", "con|v1"])
def test_a_renamed_network_is_the_same(place: str) -> None:
    spans = rename(snapshot(), at(place), "renamed")
    text = TINY
    for span in reversed(spans):
        text = text[: span.start] + "renamed" + text[span.end :]
    one, other = archdsl.loads(TINY), archdsl.loads(text)
    assert [n.op for n in one.nodes] == [n.op for n in other.nodes] and "renamed" in text


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("{class|es", "width"),
        ("ste|m", "pool"),
        ("ste|m", "a b"),
        ("{class|es", "conv"),
        ("3x3 con|v", "x"),
        ("basic(|w", "s"),
    ],
)
def test_a_rename_that_changes_the_network_is_refused(place: str, name: str) -> None:
    with pytest.raises(ArchError) as raised:
        rename(snapshot(), at(place), name)
    assert raised.value.diagnostics[0].code == "E0501"


_VARIANTS = """input: 3x32x32
net:
  stem: 3x3 conv 16
  b: 3x3 conv 16
  y: add <- stem, b
variants:
  v2: {net: {stem: {kernel: 5}}}
"""


@pytest.mark.parametrize("key", ["kernel", "kernell"])
def test_a_node_is_renamed_where_a_variant_overrides_it(key: str) -> None:
    text = _VARIANTS.replace("kernel", key)
    *_, last = snapshots(Source("a.yaml", text))
    spans = rename(last, text.index("stem"), "first")
    assert [span.line for span in spans] == [3, 5, 7]


def test_a_broken_line_is_the_reason_if_it_is() -> None:
    text = _VARIANTS.replace("y: add <- stem, b", "y: add <- stem, b foo")
    *_, last = snapshots(Source("a.yaml", text))
    with pytest.raises(ArchError, match="line 5 has an error"):
        rename(last, text.index("stem"), "first")


@pytest.mark.parametrize("path", random.Random(0).sample(library_files(), 12), ids=lambda path: path.stem)
def test_every_name_of_the_library_is_defined_once(path: Path) -> None:
    found = occurrences(next(snapshots(read(path))))
    defined = {one.symbol for one in found if one.defines}
    assert {one.symbol for one in found} <= defined
    assert all(one.span.text == one.symbol.name for one in found)
