"""The YAML layer: what a scalar means, where everything stands, and that no text can do harm.

Tests `source/faults.py`, `source/files.py`, `source/syntax.py`, `source/tree.py` and `source/values.py`.
"""

from __future__ import annotations

import io
import math
import os
import re
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from archdsl.diagnostics import ArchError, Diagnostic, Source, Span
from archdsl.source import Map, Scalar, Seq, Tree, decode, limits, parse, plain_value, read
from archdsl.source import events as module

BOTH_PARSERS = pytest.mark.parametrize("loader", [module.LOADER, yaml.SafeLoader], ids=["c", "pure"])


def tree(text: str) -> Tree:
    return parse(Source("spec.yaml", text))


def mapping(text: str) -> Map:
    found = tree(text)
    assert isinstance(found, Map)
    return found


def sequence(text: str) -> Seq:
    found = tree(text)
    assert isinstance(found, Seq)
    return found


def child(node: Map, *keys: str) -> Tree:
    found: Tree | None = node
    for key in keys:
        assert isinstance(found, Map)
        found = found.get(key)
    assert found is not None
    return found


def leaf(node: Tree | None) -> Scalar:
    assert isinstance(node, Scalar)
    return node


def failure(text: str) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        tree(text)
    (diagnostic,) = caught.value.diagnostics
    assert caught.value.status == 1
    assert str(caught.value)
    return diagnostic


def place(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.span is not None
    return diagnostic.span.line, diagnostic.span.column


def plain(node: Tree) -> object:
    """The tree as Python data, to compare with."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Seq):
        return [plain(item) for item in node.items]
    return {key: plain(entry.value) for key, entry in node.entries.items()}


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[(text, int(text)) for text in ("0", "-1", "+12", "0123", "9" * 100)],
        ("0o17", 15),
        ("0xfF", 255),
        ("1e-4", 0.0001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5E+3", -1500.0),
        ("1409.1550", 1409.155),
        (".inf", math.inf),
        ("+.INF", math.inf),
        ("-.Inf", -math.inf),
    ],
)
def test_core_values(text: str, value: object) -> None:
    scalar = leaf(child(mapping(f"a: {text}"), "a"))
    assert scalar.value == value
    assert type(scalar.value) is type(value)
    assert scalar.text == text


def test_nan() -> None:
    value = plain_value(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize(
    "text",
    [
        *("on", "off", "yes", "no", "y", "Yes", "nULL", "tRUE"),
        *("1:30", "25:61:61", "1" + ":59" * 20_000, "2026-01-01", "2026-13-45", "1_000", "0b1", "0x", "-0x1"),
        *("1e", "e4", ".", "-", "+", "1.2.3", "--1", "infinity", "nan", ".e1", "\u0663", "3x224x224"),
    ],
)
def test_words_stay_words(text: str) -> None:
    if text == "-":
        assert plain_value(text) == "-"
    else:
        assert leaf(child(mapping(f"a: {text}"), "a")).value == text


def test_quoted_is_text() -> None:
    root = mapping("a: '1'\nb: \"true\"\nc: |\n  3\nd: ''\n")
    assert plain(root) == {"a": "1", "b": "true", "c": "3\n", "d": ""}
    assert not any(leaf(entry.value).plain for entry in root.entries.values())


def test_keys_are_text() -> None:
    root = mapping("1: a\ntrue: b\n1.50: c\n")
    assert list(root.entries) == ["1", "true", "1.50"]
    assert [entry.key.value for entry in root.entries.values()] == ["1", "true", "1.50"]


def test_structure() -> None:
    text = "name: n\nargs: {k: 3, n: [1, 2]}\nnet:\n  - a\n  - - b\n    - c\n  - d: [e: f, g]\n    h:\n"
    expected = {
        "name": "n",
        "args": {"k": 3, "n": [1, 2]},
        "net": ["a", ["b", "c"], {"d": [{"e": "f"}, "g"], "h": None}],
    }
    root = mapping(text)
    assert plain(root) == expected
    args = child(root, "args")
    assert isinstance(args, Map)
    assert (root.flow, args.flow) == (False, True)
    assert root.get("nothing") is None


# --- places ------------------------------------------------------------------------------------------------


def at(node: Tree) -> tuple[int, int, str]:
    return node.span.line, node.span.column, node.span.text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_places(end: str) -> None:
    root = mapping(
        end.join(["# é😀", "a: 😀", "b: '😀 x'  # c", "ç:", "    - {d: [1, 22]}", "    - 7x7 conv 64 /2 ", "e: f", ""])
    )
    assert at(child(root, "a")) == (2, 4, "😀")
    assert at(child(root, "b")) == (3, 4, "'😀 x'")
    assert at(root.entries["ç"].key) == (4, 1, "ç")
    items = child(root, "ç")
    assert isinstance(items, Seq)
    assert at(items.items[1]) == (6, 7, "7x7 conv 64 /2")
    assert at(items.items[0]) == (5, 7, "{d: [1, 22]}")
    assert isinstance(items.items[0], Map)
    assert at(child(items.items[0], "d")) == (5, 11, "[1, 22]")
    assert at(items) == (5, 5, f"- {{d: [1, 22]}}{end}    - 7x7 conv 64 /2")
    assert at(child(root, "e")) == (7, 4, "f")
    assert root.span.text.endswith("e: f")


def test_span_of_a_pair_in_a_list() -> None:
    (item, other) = sequence("[a: b, c]").items
    assert (item.span.text, other.span.text) == ("a: b", "c")


def test_span_behind_an_anchor() -> None:
    root = mapping("a: &x 12\nb: &y 'it'\nc: &z [1]\nd: &w\n  e: f\ng: [*x, *y, *z, *w]\n")
    assert [at(child(root, key))[2] for key in "abcd"] == ["12", "'it'", "[1]", "e: f"]
    aliases = child(root, "g")
    assert isinstance(aliases, Seq)
    assert [item is child(root, key) for item, key in zip(aliases.items, "abcd", strict=True)] == [True] * 4


def test_empty_value_has_a_place() -> None:
    root = mapping("a:\nb: c\n")
    assert (child(root, "a").span.start, child(root, "a").span.end) == (2, 2)


def test_block_scalar_ends_with_its_text() -> None:
    root = mapping("a: |\n  one\n  two\n\n# c\nb: 1\n")
    assert child(root, "a").span.text == "|\n  one\n  two"


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("a: foo bar baz", True),
        ("a: 'foo bar baz'", True),
        ('a: "foo bar baz"', True),
        ("😀: é foo bar baz", True),
        ("a: &x foo bar baz", True),
        ("a: &x 'foo bar baz'", True),
        ("a:\r\n  foo bar baz\r\n", True),
        ("a: foo\n  bar baz", False),
        ("a: 'it''s bar baz'", False),
        ('a: "\\x66oo bar baz"', False),
        ("a: |\n  foo bar baz", False),
        ("a: >-\n  foo bar baz", False),
    ],
)
def test_part(text: str, exact: bool) -> None:
    (entry,) = mapping(text).entries.values()
    scalar = leaf(entry.value)
    start = scalar.text.index("bar")
    span = scalar.part(start, start + 3)
    assert span.text == ("bar" if exact else scalar.span.text)
    piece = scalar.piece(start, start + 7)
    assert (piece.text, piece.value, piece.plain) == ("bar baz", "bar baz", scalar.plain)
    assert piece.span.text == ("bar baz" if exact else scalar.span.text)
    assert piece.part(4, 7).text == ("baz" if exact else scalar.span.text)
    assert piece.piece(4, 7, None).value is None
    assert piece.piece(4, 7, 12).value == 12


def test_byte_order_mark() -> None:
    source = decode(b"\xef\xbb\xbfa: b\n", "x")
    assert source.text == "a: b\n"
    assert at(child(mapping("\ufeffa: b\n"), "a")) == (1, 4, "b")


# --- errors ------------------------------------------------------------------------------------------------

TRAP = "quote it"

WRONG = [
    # text, code, place, a part of the message or the help
    ("a:\n\t- b", "E0101", (2, 1), "use spaces"),
    ("a: b\n\tc: d", "E0101", (2, 1), "use spaces"),
    ("a:\n  \tb: 1", "E0101", (2, 3), "use spaces"),
    ("a: |\n\t x", "E0101", (2, 1), "use spaces"),
    ("a: [a, b", "E0101", (1, 4), "never closed"),
    ("a: {b: c", "E0101", (1, 4), "never closed"),
    ("a: [b, c\nd: [e, f]", "E0101", (1, 4), "never closed"),
    ("a: [b, c\nd: e]", "E0101", (2, 1), "before this key"),
    ("a: {b: {\n", "E0101", (1, 8), "never closed"),
    ("a: 'x", "E0101", (1, 4), "never closed"),
    ('é: "x\n\n', "E0101", (1, 4), "never closed"),
    ("a: 'x\n---\n'", "E0101", (1, 4), "never closed"),
    ("{a: [1,2}", "E0101", (1, 9), "expected `,` or `]`"),
    ("a: [1, 2]]", "E0101", (1, 10), "closes nothing"),
    ("a: ]", "E0101", (1, 4), "closes nothing"),
    ("[a]\n]", "E0101", (2, 1), "closes nothing"),
    ("a: @x", "E0101", (1, 4), "cannot begin with `@`"),
    ("a: 😀\nb: `x`", "E0101", (2, 4), "quote"),
    ("a: %x", "E0101", (1, 4), "quote"),
    ("%YAML 3.0\n---\na: 1", "E0101", (1, 1), "%YAML 1.2"),
    ("x" * 2000 + ": 1", "E0101", (1, 1), "1,024"),
    ("a: b: c", "E0101", (1, 5), "second `:`"),
    ("a: b\n  c: d", "E0101", (2, 4), "indentation"),
    ("a:\n  b: 1\n c: 2", "E0101", (3, 2), "does not fit"),
    ("- a\nb: c", "E0101", (2, 1), "does not fit the list"),
    ("- - x\n - y", "E0101", (2, 2), "does not fit the list"),
    ("a: - b", "E0101", (1, 4), "line of its own"),
    ("a: 1\nfoo\nb: 2", "E0101", (2, 1), "has no `:`"),
    (": b", "E0101", (1, 1), "key is missing"),
    ('a: "x" y', "E0101", (1, 8), "quote the whole value"),
    ('a: "\\q"', "E0101", (1, 5), "not a valid escape"),
    ("a: *rows[i]", "E0101", (1, 4), "alias"),
    ("a: *", "E0101", (1, 4), "alias"),
    ("a: *nope", "E0101", (1, 4), "no anchor"),
    ("a: &node 1\nb: *nod", "E0101", (2, 4), "`node`"),
    ("[a, , b]", "E0101", (1, 5), "missing"),
    ("{a:, b: 1}", "E0101", (1, 2), "space after"),
    ("a: 1\nb: 2\na: 3\n", "E0102", (3, 1), "`a` appears twice"),
    ("1: a\n'1': b", "E0102", (2, 1), "`1` appears twice"),
    ("{b: {a: 1, c: 2, a: 3}}", "E0102", (1, 18), "`a` appears twice"),
    ("a: !!python/object/apply:os.system [id]", "E0103", (1, 4), "`!!python/object/apply:os.system`"),
    ("a: !!python/tuple [1]", "E0103", (1, 4), "tags"),
    ("a: !foo b", "E0103", (1, 4), "`!foo`"),
    ("a: &x !foo\n  b: c", "E0103", (1, 7), "`!foo`"),
    ("!foo a: b", "E0103", (1, 1), "`!foo`"),
    ("a: ! b", "E0103", (1, 4), "`!`"),
    ("a: !e!x b", "E0103", (1, 4), "`!e!x`"),
    ("# c\n%TAG !a! b\n---\na: 1", "E0103", (2, 1), "%TAG"),
    ("<<: {a: 1}", "E0104", (1, 1), "merge"),
    ("b: &x {a: 1}\nc:\n  <<: *x", "E0104", (3, 3), "merge"),
    ("a: &x [*x]", "E0105", (1, 8), "cycle"),
    ("&x\na: *x", "E0105", (2, 4), "cycle"),
    ("a: \x1b[31m", "E0108", (1, 4), "U+001B"),
    ("a: b\rc: d", "E0108", (1, 5), "U+000D"),
    ("a: b\nc: d\u2028e", "E0108", (2, 5), "U+2028"),
    ("a: b\ufeffc", "E0108", (1, 5), "U+FEFF"),
    ("a: \ud800", "E0108", (1, 4), "U+D800"),
    ("a: \x00", "E0108", (1, 4), "text file"),
    ('a: "\\uD800"', "E0108", (1, 7), "not a valid character"),
    ('a: "\\e[31m"', "E0108", (1, 4), "U+001B"),
    ("", "E0109", (1, 1), "empty"),
    ("# only\n# comments\n", "E0109", (1, 1), "empty"),
    ("---\n", "E0109", (1, 1), "empty"),
    ("~", "E0109", (1, 1), "empty"),
    ("a: b\n---\nc: d", "E0110", (2, 1), "second document"),
    ("---\na: b\n# x\n\n---", "E0110", (5, 1), "second document"),
    ("a: b\n...\nc: d", "E0110", (3, 1), "second document"),
    ("a: b\n...\n" + "%TAG !a! b\n" * 10, "E0110", (3, 1), "second document"),
    ("a: " + "1" * 101, "E0111", (1, 4), "101 digits"),
    ("a: 0x" + "1" * 5000, "E0111", (1, 4), "digits"),
    ("a: 1." + "1" * 5000, "E0111", (1, 4), "digits"),
    ("- -1e999", "E0111", (1, 3), "range"),
    ("? [a]\n: b", "E0112", (1, 3), "not a list"),
    ("? {a: b}\n: b", "E0112", (1, 3), "not a mapping"),
    ("{[a]: b}", "E0112", (1, 2), "not a list"),
    ("&x a: 1\n*x : b", "E0112", (2, 1), "not an alias"),
    ("'': b", "E0112", (1, 1), "empty"),
    ("null: b", "E0112", (1, 1), "empty"),
    ("? \n: b", "E0112", (1, 2), "empty"),
    ("a: [f(1, 2), n]", "E0113", (1, 5), "`f(1, 2)`"),
    ("{f(1, 2), a: 1}", "E0113", (1, 2), "`f(1, 2)`"),
    ("{a: f(1, (2, 3)), b: 2}", "E0113", (1, 5), "`f(1, (2, 3))`"),
    ("[a, f(1]", "E0113", (1, 5), "do not match"),
    ("[a, 2)]", "E0113", (1, 5), "do not match"),
    ("{1}", "E0113", (1, 2), TRAP),
    ("{add <- a, b}", "E0113", (1, 2), TRAP),
    ("{a: 1, b}", "E0113", (1, 8), TRAP),
    ("{a: , b: 1}", "E0113", (1, 2), "null"),
    ("[n[0] * block(64), 2]", "E0113", (1, 2), "`n[0]`"),
    ("a: [b, n[0]*2]", "E0113", (1, 8), "`n[0]`"),
    ("{k: n[1]}", "E0113", (1, 5), "`n[1]`"),
    ("{k: layer as x{1}}", "E0113", (1, 14), "`x{1}`"),
    ("[3x3 conv pad=[1,0]]", "E0113", (1, 11), "`pad=[1,0]`"),
    ("- [3x3 conv weight=[[1,0],[0,1]]]", "E0113", (1, 13), "`weight=[`"),
]


@pytest.mark.parametrize(("text", "code", "where", "says"), WRONG, ids=[f"{w[1]}-{w[0][:30]!r}" for w in WRONG])
def test_wrong(text: str, code: str, where: tuple[int, int], says: str) -> None:
    found = failure(text)
    assert (found.code, place(found)) == (code, where), found.message
    assert says in found.message + found.help
    if code == "E0103":
        assert "never executes" in found.notes[0]


@BOTH_PARSERS
@pytest.mark.parametrize("text", [w[0] for w in WRONG], ids=[f"{w[1]}-{w[0][:30]!r}" for w in WRONG])
def test_wrong_by_both_parsers(text: str, loader: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOADER", loader)
    assert failure(text).span is not None


def test_every_code_is_tried() -> None:
    tried = {code for _, code, _, _ in WRONG}
    assert {f"E0{n}" for n in range(101, 114)} - tried == {"E0106", "E0107"}


def test_duplicate_key_shows_both() -> None:
    found = failure("a: 1\nb: 2\na: 3\n")
    (first,) = found.labels
    assert (first.span.line, first.span.column) == (1, 1)


def test_crlf_error_place() -> None:
    assert place(failure("a: b\r\nc: @d\r\n")) == (2, 4)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[" * 100_000, (1, 65)),
        ("[" * 1_000_000, (1, 65)),
        ("- " * 500_000, (1, 129)),
        ("{a: " * 10_000, (1, 257)),
        ("\n".join(" " * n + "-" for n in range(2_000)), (65, 65)),
    ],
)
def test_too_deep(text: str, where: tuple[int, int]) -> None:
    found = failure(text)
    assert (found.code, place(found)) == ("E0106", where)


def test_depth_of_64_is_fine() -> None:
    assert isinstance(tree("[" * 64 + "]" * 64), Seq)


def test_deep_complex_keys() -> None:
    assert failure("? " * 20_000).code == "E0112"


def test_aliases_deepen() -> None:
    text = "a0: &a0 x\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(70))
    found = failure(text)
    assert (found.code, place(found)[0]) == ("E0106", 65)


def test_alias_bomb() -> None:
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(26))
    found = failure(text)
    assert (found.code, found.span is not None) == ("E0105", True)
    assert place(found)[0] < 15


def test_merge_bomb() -> None:
    text = "a0: &a0 {k: v}\n" + "".join(f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}\n" for n in range(26))
    found = failure(text)
    assert (found.code, place(found)) == ("E0104", (2, 10))


def test_many_aliases_of_a_word_are_fine() -> None:
    assert len(sequence("- &a x\n" + "- *a\n" * limits.MAX_ALIASED).items) == limits.MAX_ALIASED + 1
    assert failure("- &a x\n" + "- *a\n" * (limits.MAX_ALIASED + 1)).code == "E0105"


def test_too_many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NODES", 10)
    assert len(sequence("[1,2,3,4,5,6,7,8,9]").items) == 9
    found = failure("[1,2,3,4,5,6,7,8,9,a]")
    assert (found.code, place(found)) == ("E0107", (1, 20))
    assert failure("[1,2,3,4,5,6,7,8,9,[]]").code == "E0107"


def test_too_long_text() -> None:
    assert failure("a: " + "x" * limits.MAX_BYTES).code == "E0107"


def test_many_directives_are_refused_at_once() -> None:
    text = "".join(f"%TAG !a{n}! b\n" for n in range(200_000))
    assert failure(text + "---\na: 1").code == "E0103"
    assert failure("a: b\n" + text).code in ("E0103", "E0110")
    assert failure("a: b\n...\n" + text).code == "E0110"


def test_collector_is_left_as_it_was() -> None:
    import gc

    tree("a: b")
    assert gc.isenabled()
    failure("a: @")
    assert gc.isenabled()


# --- files -------------------------------------------------------------------------------------------------


def unread(path: Path | str) -> tuple[Diagnostic, int]:
    with pytest.raises(ArchError) as caught:
        read(path)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic, caught.value.status


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\r\n")
    source = read(path)
    assert (source.name, source.path, source.text) == (str(path), path, "a: é\r\n")
    assert read(str(path)).text == "a: é\r\n"


def test_read_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a: b")))
    source = read("-")
    assert (source.name, source.path, source.text) == ("<stdin>", None, "a: b")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"x" * (limits.MAX_BYTES + 1))))
    assert unread("-")[0].code == "E0107"


def test_read_failures(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a: b")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    cases: list[tuple[Path | str, str]] = [
        (tmp_path / "missing.yaml", "no such file"),
        (tmp_path / "file" / "x.yaml", "no such file"),
        (tmp_path, "is a directory"),
        (fifo, "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("a\0b", "null"),
        ("x" * 5_000, "too long"),
    ]
    for path, says in cases:
        found, status = unread(path)
        assert (found.code, status) == ("E0114", 2)
        assert says in found.message
        assert len(found.message) < 400
    assert ".yaml" in unread(tmp_path / "missing.yaml")[0].help


def test_read_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: b")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert "permission denied" in unread(path)[0].message


def test_read_a_file_swapped_for_a_fifo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    monkeypatch.setattr(os, "stat", lambda path, **_: SimpleNamespace(st_mode=stat.S_IFREG | 0o644))
    found, _ = unread(fifo)
    assert "not a regular file" in found.message


def test_read_too_large(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    found, status = unread(path)
    assert (found.code, status) == ("E0107", 1)


@pytest.mark.parametrize(
    ("data", "where", "says"),
    [
        (b"a: b\nc: \xe9t\xe9\n", (2, 4), "0xe9"),
        ("é\n😀: ".encode() + b"\xff", (2, 4), "0xff"),
        (b"a: \xc3", (1, 4), "0xc3"),
        (b"a: \xed\xa0\x80", (1, 4), "0xed"),
        (b"\xff\xfe", (1, 1), "UTF-16"),
        ("a: b".encode("utf-16"), (1, 1), "UTF-16"),
        (b"\xff\xfea", (1, 1), "UTF-16"),
    ],
)
def test_not_utf8(data: bytes, where: tuple[int, int], says: str) -> None:
    with pytest.raises(ArchError) as caught:
        decode(data, "x")
    (found,) = caught.value.diagnostics
    assert (found.code, place(found)) == ("E0108", where)
    assert says in found.message
    assert str(caught.value)


# --- fuzz --------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *("a", "b", ": ", ":", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ", ", ",", "'", '"', "|", ">", "#"),
        *("&x ", "*x", "!t ", "<<", "? ", "---\n", "...\n", "%YAML", "\r\n", "\r", "1", "0x1", "1e5", "~", "\\"),
        *("@", "`", "😀", "é", "f(1, 2)", "n[0]", "\ufeff", "\x00", "\\u0041", "\\U00110000", "\\x", "=", "$"),
    ]
)


def check_places(node: Tree, source: Source) -> None:
    """Every span lies in the text, and a scalar that says where it stands stands there."""
    todo = [node]
    while todo:
        one = todo.pop()
        assert 0 <= one.span.start <= one.span.end <= len(source.text)
        if isinstance(one, Scalar):
            if one.offset is not None:
                assert source.text[one.offset :].startswith(one.text)
                assert one.part(0, len(one.text)).text == one.text
        elif isinstance(one, Seq):
            todo.extend(one.items)
        else:
            for key, entry in one.entries.items():
                assert entry.key.text == key
                todo += [entry.key, entry.value]


@BOTH_PARSERS
@settings(deadline=None, max_examples=300)
@given(parts=st.lists(WORDS, max_size=25))
@example(parts=['"', "\\U00110000", '"'])
def test_any_words(parts: list[str], loader: object) -> None:
    before, module.LOADER = module.LOADER, loader
    try:
        check_any("".join(parts))
    finally:
        module.LOADER = before


@settings(deadline=None, max_examples=200)
@given(text=st.text(st.characters(exclude_categories=()), max_size=60))
def test_any_text(text: str) -> None:
    check_any(text)


def check_any(text: str) -> None:
    source = Source("x", text.lstrip("\ufeff"))
    try:
        check_places(parse(source), source)
    except ArchError as problem:
        assert str(problem).startswith("error[E01")
        (found,) = problem.diagnostics
        assert found.span is not None
        assert 0 <= found.span.start <= found.span.end


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    try:
        source = decode(data, "x")
    except ArchError as problem:
        assert str(problem).startswith("error[E0108]")
    else:
        assert isinstance(source, Source)


NUMBER_OF_1_2 = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+|0o[0-7]+")
"""Numbers of YAML 1.2, as which archdsl reads them, and texts of YAML 1.1, which PyYAML writes without quotes."""
WORDS = st.text(st.characters(codec="utf-8"), max_size=12).filter(lambda text: not NUMBER_OF_1_2.fullmatch(text))
DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abcdef-_", min_size=1, max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=60)
@given(data=st.dictionaries(st.text("abcdefg", min_size=1), DATA, min_size=1), flow=st.booleans())
def test_what_yaml_writes_is_read_back(data: object, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True, width=40)
    source = Source("x", text)
    try:
        found = parse(source)
    except ArchError as problem:
        # What is refused on purpose: odd characters, keys such as `null`, parentheses split in flow style.
        assert problem.diagnostics[0].code in ("E0108", "E0112", "E0113")
        return
    assert plain(found) == data
    check_places(found, source)


def test_span_is_of_the_source_given() -> None:
    source = Source("x", "a: b")
    assert parse(source).span.source is source
    assert parse(source).span == Span(source, 0, 4)
