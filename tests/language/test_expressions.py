"""Expressions: what they come to, what they refuse and where, and that no text can do harm.

Tests `language/expressions/parser.py`, `language/expressions/tokens.py` and `language/expressions/values.py`.
"""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.diagnostics import ArchError, Diagnostic, Source, Span, error
from archdsl.language import expressions as module
from archdsl.language.expressions import Env, Value, arithmetic, as_whole, literal, parse, parse_call, show, truth
from archdsl.source import Map, Scalar
from archdsl.source import parse as parse_yaml


def scalar(text: str) -> Scalar:
    """A scalar that stands in the middle of a line."""
    source = Source("spec.yaml", f"é: {text}\n")
    return Scalar(text, text, Span(source, 3, 3 + len(text)), True, 3)


NETWORK = Env(
    {
        "w": 64,
        "base": 128,
        "g": 2,
        "e": 88,
        "half": 0.5,
        "third": Fraction(1, 3),
        "flag": True,
        "se": None,
        "n": (3, 4, 6, 3),
        "rows": ((3, 16, "relu"), (5, 24, "hardswish")),
        "empty": (),
        "huge": 10**99,
        **{name: name for name in ("relu", "bottleneck", "basic")},
    }
)
COPY = Env({"i": 1, "first": False, "last": True, "w": 32}, NETWORK, {"in": lambda: 24})


def value(text: str, env: Env = COPY) -> Value:
    return parse(scalar(text)).evaluate(env)


def failure(text: str, env: Env = COPY) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        value(text, env)
    (found,) = caught.value.diagnostics
    assert str(caught.value)
    return found


def caret(found: Diagnostic) -> tuple[int, str]:
    """The offset in the expression, and what is underlined."""
    assert found.span is not None
    return found.span.start - 3, found.span.text


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2*3", 7),
        ("(1+2)*3", 9),
        ("2 - 3 - 4", -5),
        ("100//7//2", 7),
        ("2*7%4", 2),
        ("-2*3", -6),
        ("2 - -3", 5),
        ("- - 2", 2),
        ("-7//2", -4),
        ("-7%3", 2),
        ("7%-3", -2),
        ("08", 8),
        ("9223372036854775807", 2**63 - 1),
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("1.", 1.0),
        ("2.5E+1", 25.0),
        ("6/3", 2),
        ("7/2", Fraction(7, 2)),
        ("7/2*2", 7),
        ("-7/2", Fraction(-7, 2)),
        ("1/3 + 1/3 + 1/3", 1),
        ("7/2//1", 3),
        ("7/2%1", Fraction(1, 2)),
        ("7/half", 14.0),
        ("1/2 + .5", 1.0),
        ("64*half", 32.0),
        ("w*base//64*g", 128),
        ("1 if 2 < 3 else 4", 1),
        ("2*3 if first else 4*5", 20),
        ("1 if first else 2 if i == 1 else 3", 2),
        ("(1 if last else 2) + 10", 11),
        ("true", True),
        ("none", None),
        ("relu", "relu"),
        ("not first and last", True),
        ("not (first or last)", False),
        ("not not 1", True),
        ("first or w", 32),
        ("0 or none or n", (3, 4, 6, 3)),
        ("last and w > 3", True),
        ("first and 1//0 == nothing or 5", None),
        ("1 == 1.0", True),
        ("1/2 == half", True),
        ("relu == relu", True),
        ("relu != basic", True),
        ("se == none", True),
        ("relu == none", False),
        ("n == [3, 4, 6, 3]", True),
        ("last == true", True),
        ("2 >= 2", True),
        ("1/3 < third", False),
        ("n[0]", 3),
        ("n[-1]", 3),
        ("n[i + 1]", 6),
        ("rows[i][2]", "hardswish"),
        ("-n[1]", -4),
        ("[1, [w, relu]][1][0]", 32),
        ("[]", ()),
        ("min(3, 2.5)", 2.5),
        ("max(n)", 6),
        ("min(1, 2, 3)", 1),
        ("sum(n)", 16),
        ("sum([])", 0),
        ("sum([1/3, 1/3, 1/3])", 1),
        ("len(rows)", 2),
        ("abs(-3)", 3),
        ("abs(-1/2)", Fraction(1, 2)),
        ("round(5/2)", 2),
        ("round(7/2)", 4),
        ("round(.5)", 0),
        ("round(-2.5)", -2),
        ("ceil(7/2)", 4),
        ("floor(-7/2)", -4),
        ("int(-7/2)", -3),
        ("int(3.9)", 3),
        ("in//2", 12),
        ("\t1\r\n + 1 ", 2),
    ],
)
def test_value(text: str, expected: Value) -> None:
    if "nothing" in text:
        assert failure("first or nothing").code == "E0304"
        assert value("first and nothing or 5") == 5
        return
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


def make_divisible(x: float, divisor: int) -> int:
    """The rule as MobileNet's authors wrote it, to compare with."""
    rounded = max(divisor, int(x + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * x else rounded


@pytest.mark.parametrize("divisor", [1, 3, 8, 9, 16])
def test_divisible(divisor: int) -> None:
    for x in range(300):
        assert value(f"divisible({x}, {divisor})") == make_divisible(x, divisor)
        assert value(f"divisible({x}*0.75, {divisor})") == make_divisible(x * 0.75, divisor)
        assert value(f"divisible({x}*3/4, {divisor})") == make_divisible(x * 0.75, divisor)


def test_long_chains_do_not_nest() -> None:
    assert value("w" + "+1" * 900) == 932
    assert value("1" + " or w" * 300) == 1
    assert value("w" + "-1*w" * 400) == 32 - 400 * 32
    with pytest.raises(ArchError):
        value("n" + "[0]" * 300)


def test_depth_of_31_is_fine() -> None:
    assert value("(" * 31 + "w" + ")" * 31) == 32
    assert value("[" * 31 + "w" + "]" * 31 + "[0]" * 30) == (32,)
    operands = "1 if 0 or 0 and not 0 < 0 + 0 * - n["
    assert value(operands * 7 + "0" + "] else 2" * 7) in (1, 2)


# --- errors ------------------------------------------------------------------------------------------------

WRONG = [
    # text, code, offset and text of the caret, a part of the message or the help
    ("1+", "E0303", (2, "\n"), "expected a value"),
    ("w relu", "E0303", (2, "relu"), "expected an operator"),
    ("1, 2", "E0303", (1, ","), "expected an operator"),
    ("(1", "E0303", (0, "("), "never closed"),
    ("1)", "E0303", (1, ")"), "closes nothing"),
    ("[1, 2)", "E0303", (5, ")"), "expected `]`"),
    ("min(1,,2)", "E0303", (6, ","), "expected a value"),
    ("1 if w", "E0303", (6, "\n"), "else"),
    ("else", "E0303", (0, "else"), "expected a value"),
    ("9**9**9", "E0306", (1, "**"), "9 ** 387420489 is too large"),
    ("w**-9**9", "E0306", (1, "**"), "32 ** -387420489 is too large"),
    ("2**63", "E0306", (1, "**"), "2 ** 63 is too large"),
    ("(1/2)**63", "E0306", (5, "**"), "(1/2) ** 63 is too large"),
    ("1e300**2", "E0306", (5, "**"), "1e+300 ** 2 is too large"),
    ("(i-1)**-1", "E0305", (5, "**"), "division by zero: 0 ** -1"),
    ("(-8)**(1/3)", "E0305", (4, "**"), "(-8) ** 1/3 is not a real number"),
    ("2**n", "E0305", (3, "n"), "`**` needs two numbers"),
    ("n**2", "E0305", (0, "n"), "`**` needs two numbers"),
    ("w ^ 2", "E0303", (2, "^"), "write a power as `x**2`"),
    ("***", "E0303", (0, "**"), "expected a value"),
    ("1 << 10**10", "E0303", (2, "<<"), "expected an operator"),
    ("f'{1:1000000000}'", "E0303", (1, "'"), "strings"),
    ('"a"*10**10', "E0303", (0, '"'), "strings"),
    ("a.__class__.__mro__", "E0303", (1, "."), "attributes"),
    ("w.x", "E0303", (1, "."), "attributes"),
    ("lambda: 0", "E0303", (0, "lambda"), "not allowed"),
    ("import os", "E0303", (0, "import"), "not allowed"),
    ("w for w", "E0303", (2, "for"), "not allowed"),
    ("w in n", "E0303", (2, "in"), "no operator"),
    ("w is n", "E0303", (2, "is"), "=="),
    ("(x:=3)", "E0303", (2, ":="), "args"),
    ("w = 3", "E0303", (2, "="), "use `==` to compare"),
    ("w && 1", "E0303", (2, "&&"), "`and`"),
    ("w || 1", "E0303", (2, "||"), "`or`"),
    ("!w", "E0303", (0, "!"), "`not`"),
    ("w ? 1 : 2", "E0303", (2, "?"), "if condition else"),
    ("n[1:2]", "E0303", (3, ":"), "slices"),
    ("{1}", "E0303", (0, "{"), "[...]"),
    ("*n", "E0303", (0, "*"), "arguments of a block"),
    ("1 < 2 < 3", "E0303", (6, "<"), "and"),
    ("1 + not 2", "E0303", (4, "not"), "parentheses"),
    ("eval(1)", "E0303", (0, "eval"), "unknown function"),
    ("flor(1)", "E0303", (0, "flor"), "`floor`"),
    ("n[0](1)", "E0303", (4, "("), "called"),
    ("min()", "E0303", (0, "min()"), "1 or more values, not 0"),
    ("divisible(3)", "E0303", (0, "divisible(3)"), "takes 2 values, not 1"),
    ("3x3", "E0303", (0, "3x3"), "letter"),
    ("1_000", "E0303", (0, "1_000"), "digits only"),
    ("0x10", "E0303", (0, "0x10"), "letter"),
    ("w×2", "E0303", (1, "×"), "write `*`"),  # noqa: RUF001
    ("\u0430 + 1", "E0303", (0, "\u0430"), "CYRILLIC SMALL LETTER A"),
    ("\ufb01", "E0303", (0, "\ufb01"), "LIGATURE FI"),
    ("\u0663", "E0303", (0, "\u0663"), "ARABIC-INDIC DIGIT THREE"),
    ("w\x00", "E0303", (1, "\x00"), "not allowed"),
    ("", "E0303", (0, ""), "expected an expression"),
    ("   ", "E0303", (0, "   "), "expected an expression"),
    ("firts", "E0304", (0, "firts"), "`first`"),
    ("1 + bottlenek", "E0304", (4, "bottlenek"), "`bottleneck`"),
    ("True", "E0304", (0, "True"), "`true`"),
    ("off", "E0304", (0, "off"), "`false`"),
    ("null", "E0304", (0, "null"), "`none`"),
    ("w * relu", "E0305", (4, "relu"), "got `32` and the name `relu`"),
    ("first + 1", "E0305", (0, "first"), "got `false` and `1`"),
    ("1 + 2 + last", "E0305", (8, "last"), "got `3` and `true`"),
    ("w + 2 + relu + 1", "E0305", (8, "relu"), "got `34` and the name `relu`"),
    ("se - 1", "E0305", (0, "se"), "got `none` and `1`"),
    ("[0]*10", "E0305", (0, "[0]"), "list [0]"),
    ("-relu", "E0305", (1, "relu"), "needs a number"),
    ("-true", "E0305", (1, "true"), "needs a number"),
    ("1/0", "E0305", (1, "/"), "division by zero: 1 / 0"),
    ("w // (i - 1)", "E0305", (2, "//"), "division by zero: 32 // 0"),
    ("w % 0.0", "E0305", (2, "%"), "division by zero"),
    ("third / 0", "E0305", (6, "/"), "division by zero: 1/3 / 0"),
    ("n[4]", "E0305", (2, "4"), "index 4 is out of range: the list has 4 items"),
    ("n[-5]", "E0305", (2, "-5"), "out of range"),
    ("empty[0]", "E0305", (6, "0"), "out of range"),
    ("n[first]", "E0305", (2, "first"), "not `false`"),
    ("n[1/2]", "E0305", (2, "1/2"), "not `1/2`"),
    ("n[1.0]", "E0305", (2, "1.0"), "not `1.0`"),
    ("w[0]", "E0305", (0, "w"), "not `32`"),
    ("relu < basic", "E0305", (5, "<"), "numbers"),
    ("relu == 3", "E0305", (5, "=="), "the name `relu` and `3`"),
    ("first == 0", "E0305", (6, "=="), "`false` and `0`"),
    ("none < 1", "E0305", (5, "<"), "`none`"),
    ("not relu", "E0305", (4, "relu"), "neither true nor false"),
    ("1 if relu else 2", "E0305", (5, "relu"), "neither true nor false"),
    ("last and relu and 1", "E0305", (9, "relu"), "neither true nor false"),
    ("len(w)", "E0305", (4, "w"), "needs a list, got `32`"),
    ("len(relu)", "E0305", (4, "relu"), "needs a list"),
    ("sum(3)", "E0305", (4, "3"), "needs a list"),
    ("sum(rows)", "E0305", (4, "rows"), "needs numbers"),
    ("min(1, relu)", "E0305", (7, "relu"), "needs numbers"),
    ("max([])", "E0305", (4, "[]"), "empty"),
    ("round(last)", "E0305", (6, "last"), "needs a number"),
    ("divisible(w, 0)", "E0305", (13, "0"), "above 0"),
    ("divisible(w, 1/2)", "E0305", (13, "1/2"), "whole number"),
    ("9223372036854775808", "E0306", (0, "9223372036854775808"), "2^63"),
    ("9" * 1_999, "E0306", (0, "9" * 1_999), "1,999 digits"),
    ("9223372036854775807 + 1", "E0306", (20, "+"), "9223372036854775807 + 1"),
    ("3000000000 * 2 * 3000000000", "E0306", (15, "*"), "6000000000 * 3000000000"),
    ("w * huge", "E0306", (2, "*"), "too large"),
    ("1/9223372036854775807/3", "E0306", (21, "/"), "too large"),
    ("1e999", "E0306", (0, "1e999"), "too large"),
    ("1e300 * 1e300", "E0306", (6, "*"), "too large"),
    ("floor(1e300)", "E0306", (0, "floor(1e300)"), "301 digits"),
    ("sum([9223372036854775807, 1])", "E0306", (0, "sum([9223372036854775807, 1])"), "too large"),
    ("(" * 40 + "1" + ")" * 40, "E0306", (32, "("), "32 levels"),
    ("-" * 50 + "1", "E0306", (31, "-"), "32 levels"),
    ("not " * 50 + "1", "E0306", (124, "not"), "32 levels"),
    ("1 if 1 else " * 50 + "1", "E0306", (384, "1"), "32 levels"),
    ("1" + " " * 2_000, "E0306", (0, "1" + " " * 2_000), "2,001 characters"),
]


@pytest.mark.parametrize(("text", "code", "where", "says"), WRONG, ids=[f"{w[1]}-{w[0][:30]!r}" for w in WRONG])
def test_wrong(text: str, code: str, where: tuple[int, str], says: str) -> None:
    found = failure(text)
    offset, shown = caret(found)
    assert (found.code, offset) == (code, where[0]), found.message
    assert shown == where[1] or (where[1] == "\n" and shown == "")
    assert says in found.message + found.help
    assert len(found.message) < 300


def test_error_inside_yaml() -> None:
    text = "a: 1\r\n😀: [x, 'w * relu']\r\n"
    root = parse_yaml(Source("spec.yaml", text))
    assert isinstance(root, Map)
    items: Any = root.get("😀")
    with pytest.raises(ArchError) as caught:
        parse(items.items[1]).evaluate(COPY)
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.span.line, found.span.column, found.span.text) == (2, 13, "relu")


def test_part_of_a_scalar() -> None:
    whole = scalar("3x3 conv 4*w /s+x")
    found = parse(whole, 9, 12)
    assert (found.text, found.span.text, set(found.names), found.constant) == ("4*w", "4*w", {"w"}, False)
    assert parse(whole, 14, 17).names == {"s", "x"}
    assert parse(whole, 9, 10).evaluate(COPY) == 4
    with pytest.raises(ArchError) as caught:
        parse(whole, 9, 11)
    assert caught.value.diagnostics[0].span == whole.part(11, 11)


def test_whole_span_where_the_text_is_not_verbatim() -> None:
    source = Source("x", "'it''s'")
    folded = Scalar("w + nope", "w + nope", Span(source, 0, 7), False, None)
    with pytest.raises(ArchError) as caught:
        parse(folded).evaluate(COPY)
    assert caught.value.diagnostics[0].span == folded.span


def test_typed_scalars() -> None:
    for text, expected in [("0x10", 16), ("true", True), ("~", None), ("1e-4", 1e-4), ("-3", -3)]:
        root = parse_yaml(Source("x", f"a: {text}"))
        assert isinstance(root, Map)
        node = root.get("a")
        assert isinstance(node, Scalar)
        found = parse(node)
        assert (found.evaluate(COPY), found.constant, found.text) == (expected, True, text)
    too_large = Scalar(10**50, "1", Span(Source("x", "1"), 0, 1))
    with pytest.raises(ArchError, match="E0306"):
        parse(too_large)


# --- what an expression says of itself ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1 + 2*min(3, 4)", set()),
        ("true or none", set()),
        ("w if first else n[i]", {"w", "first", "n", "i"}),
        ("len([a, [b]]) + -c", {"a", "b", "c"}),
        ("in", {"in"}),
    ],
)
def test_names(text: str, names: set[str]) -> None:
    found = parse(scalar(f"  {text} "))
    assert (set(found.names), found.constant, found.text, found.span.text) == (names, not names, text, text)


def test_constants_are_folded() -> None:
    def never(name: str) -> Value:
        raise AssertionError(name)

    assert parse(scalar("2*(3 + [4, 5][1]) if 1 < 2 else 0")).evaluate(never) == 16


def test_branches_not_taken_are_not_evaluated() -> None:
    assert value("1 if last else nothing") == 1
    assert value("last or nothing") is True
    assert value("first and nothing") is False


# --- environments ------------------------------------------------------------------------------------------


def test_inner_names_hide_outer_ones() -> None:
    assert (value("w", NETWORK), value("w", COPY)) == (64, 32)
    assert value("in", Env({"in": 3}, COPY)) == 3
    assert value("in", Env({}, Env({"in": 3}), {"in": lambda: 4})) == 4


def test_known_names() -> None:
    known = COPY.known
    assert known[:5] == ("i", "first", "last", "w", "in")
    assert len(known) == len(set(known))
    assert set(known) > {"n", "relu"}


def test_a_plain_dict_will_do() -> None:
    names: dict[str, Value] = {"w": 3}
    assert parse(scalar("w*2")).evaluate(names.__getitem__) == 6
    with pytest.raises(ArchError, match="E0304"):
        parse(scalar("v*2")).evaluate(names.__getitem__)


def test_lazy_names_are_asked_only_when_used() -> None:
    asked = []

    def channels() -> Value:
        asked.append(1)
        return 8

    env = Env({"w": 1}, None, {"in": channels})
    assert value("w", env) == 1
    assert not asked
    assert value("in*2", env) == 16
    assert asked == [1]


def test_a_forbidden_name_is_shown_where_it_is_used() -> None:
    def forbidden() -> Value:
        raise error("E0313", "`in` may not be used here", help="say it in an argument")

    found = failure("2 * in", Env({}, None, {"in": forbidden}))
    assert (found.code, caret(found)) == ("E0313", (4, "in"))
    elsewhere = Span(Source("y", "abc"), 0, 1)

    def placed() -> Value:
        raise error("E0313", "no", elsewhere, status=2)

    with pytest.raises(ArchError) as caught:
        value("in", Env({}, None, {"in": placed}))
    assert (caught.value.status, caught.value.diagnostics[0].span) == (2, elsewhere)


def test_a_key_error_of_something_else_is_not_hidden() -> None:
    def broken() -> Value:
        raise KeyError("other")

    with pytest.raises(KeyError, match="other"):
        value("in", Env({}, None, {"in": broken}))


# --- calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "args"),
    [
        ("double", "double", []),
        ("f()", "f", []),
        ("bneck(3, 16, relu)", "bneck", [("3", False, None), ("16", False, None), ("relu", False, None)]),
        ("bneck(*rows[i])", "bneck", [("rows[i]", True, None)]),
        ("basic(128, s=2)", "basic", [("128", False, None), ("2", False, "s")]),
        ("excite(divisible(e//4, 8), c=in)", "excite", [("divisible(e//4, 8)", False, None), ("in", False, "c")]),
        ("f(1, *n, 2, *n, a=[1, 2], b = 1 if x else 2)", "f", None),
        ("f(s==2)", "f", [("s==2", False, None)]),
        ("min(1)", "min", [("1", False, None)]),
    ],
)
def test_call(text: str, name: str, args: list[tuple[str, bool, str | None]] | None) -> None:
    found = parse_call(scalar(f" {text} "))
    assert (found.name, found.name_span.text, found.span.text) == (name, name, text)
    if args is None:
        assert [arg.span.text for arg in found.args][-2:] == ["a=[1, 2]", "b = 1 if x else 2"]
    else:
        assert [(arg.value.text, arg.star, arg.name) for arg in found.args] == args


def test_arguments_know_their_own_names() -> None:
    first, second, third = parse_call(scalar("f(a + b, *c, d=3)")).args
    assert [set(arg.value.names) for arg in (first, second, third)] == [{"a", "b"}, {"c"}, set()]
    assert (second.span.text, second.value.span.text, third.span.text) == ("*c", "c", "d=3")
    assert third.value.constant


def test_call_in_a_part() -> None:
    found = parse_call(scalar("4 * block(64) as x"), 4, 13)
    assert (found.name, found.span.text) == ("block", "block(64)")


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("f(1", (1, "("), "never closed"),
        ("f(1) 2", (5, "2"), "expected"),
        ("f(1).x", (4, "."), "attributes"),
        ("f(a=1, 2)", (7, "2"), "cannot follow"),
        ("f(a=1, *n)", (7, "*"), "cannot follow"),
        ("f(a=1, a=2)", (7, "a"), "twice"),
        ("f(true=1)", (2, "true"), "name of an argument"),
        ("f(*)", (3, ")"), "expected a value"),
        ("f(**n)", (2, "**"), "expected a value"),
        ("f(, 1)", (2, ","), "expected a value"),
        ("3", (0, "3"), "expected a name"),
        ("if", (0, "if"), "expected a name"),
        ("none", (0, "none"), "expected a name"),
        ("(f)", (0, "("), "expected a name"),
        ("", (0, ""), "expected an expression"),
        ("f(g(1))", (2, "g"), "unknown function"),
        ("f(\u0430=1)", (2, "\u0430"), "CYRILLIC"),
    ],
)
def test_wrong_call(text: str, where: tuple[int, str], says: str) -> None:
    with pytest.raises(ArchError) as caught:
        parse_call(scalar(text))
    (found,) = caught.value.diagnostics
    assert (found.code, caret(found)) == ("E0303", where)
    assert says in found.message


# --- helpers for others ------------------------------------------------------------------------------------

HERE = scalar("64*3/5").span


@pytest.mark.parametrize(("given_", "expected"), [(3, 3), (-1, -1), (2.0, 2), (Fraction(4, 2), 2)])
def test_as_whole(given_: Value, expected: int) -> None:
    found = as_whole(given_, HERE, "the width")
    assert (found, type(found)) == (expected, int)


@pytest.mark.parametrize(
    ("given_", "code", "says"),
    [
        (Fraction(192, 5), "E0315", "the width must be a whole number: 64*3/5 is 38.4"),
        (Fraction(1, 3), "E0315", "64*3/5 is 1/3"),
        (2.5, "E0315", "64*3/5 is 2.5"),
        (float("nan"), "E0315", "nan"),
        (float("inf"), "E0315", "inf"),
        (True, "E0305", "the width must be a whole number, not `true`"),
        ("relu", "E0305", "the name `relu`"),
        (None, "E0305", "`none`"),
        ((1, 2), "E0305", "the list [1, 2]"),
        (2**63, "E0306", "2^63"),
        (1e300, "E0306", "2^63"),
    ],
)
def test_as_whole_refuses(given_: Value, code: str, says: str) -> None:
    with pytest.raises(ArchError) as caught:
        as_whole(given_, HERE, "the width")
    (found,) = caught.value.diagnostics
    assert (found.code, found.span) == (code, HERE)
    assert says in found.message


def test_as_whole_of_what_is_written_out() -> None:
    span = scalar("2.5").span
    with pytest.raises(ArchError, match=r"must be a whole number, not 2\.5"):
        as_whole(2.5, span, "the width")


def test_literal() -> None:
    found = literal((1, "relu", (None, True)), HERE)
    assert (found.evaluate(COPY), found.text, found.constant) == (
        (1, "relu", (None, True)),
        "[1, relu, [none, true]]",
        True,
    )
    assert found.span is HERE
    for wrong in (2**63, (1, (-(2**63),)), (0,) * 10_001):
        with pytest.raises(ArchError, match="E0306"):
            literal(wrong, HERE)


@pytest.mark.parametrize(
    ("given_", "text"),
    [
        (Fraction(3, 2), "3/2"),
        (1.0, "1.0"),
        (1e-4, "0.0001"),
        (None, "none"),
        (False, "false"),
        ("relu", "relu"),
        (tuple(range(30)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, ...]"),
    ],
)
def test_show(given_: Value, text: str) -> None:
    assert show(given_) == text


def test_truth() -> None:
    assert [truth(v, HERE) for v in (True, 1, 0.5, (0,))] == [True] * 4
    assert [truth(v, HERE) for v in (False, 0, 0.0, (), None)] == [False] * 5
    with pytest.raises(ArchError, match="E0305"):
        truth("relu", HERE)


def test_the_table_of_functions_is_complete() -> None:
    assert tuple(sorted(arithmetic.BUILTINS)) == module.FUNCTIONS


# --- fuzz --------------------------------------------------------------------------------------------------

TOKENS = st.sampled_from(
    [
        *("1", "2", "0", "0.5", "1e9", "9223372036854775807", "w", "n", "rows", "relu", "in", "first", "se", "nope"),
        *("+", "-", "*", "/", "//", "%", "==", "!=", "<", ">=", "and", "or", "not", "if", "else", "(", ")", "[", "]"),
        *(",", "min", "sum", "len", "divisible", "round", "true", "none", "=", "**", ".", ":", "'", "é", " ", "3x3"),
    ]
)


def check_any(text: str) -> None:
    whole = scalar(text)
    for read in (parse, parse_call):
        try:
            found = read(whole)
            if isinstance(found, module.Expr):
                found.evaluate(COPY)
            else:
                for arg in found.args:
                    arg.value.evaluate(COPY)
        except ArchError as problem:
            assert str(problem).startswith("error[E03")
            for item in problem.diagnostics:
                assert item.span is not None
                assert 3 <= item.span.start <= item.span.end <= 3 + len(text)


@settings(deadline=None, max_examples=500)
@given(tokens=st.lists(TOKENS, max_size=20), separator=st.sampled_from(["", " "]))
def test_any_tokens(tokens: list[str], separator: str) -> None:
    check_any(separator.join(tokens))


@settings(deadline=None, max_examples=200)
@given(text=st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text(text: str) -> None:
    check_any(text)


def test_powers_agree_with_python() -> None:
    """All numbers below 2^63 in fractions of one digit, and no larger one."""
    exact = [Fraction(n, d) for n in range(-9, 10) for d in (1, 2, 7)]
    for base in exact:
        for exponent in range(-64, 65):
            text = f"({base})**{exponent}"
            try:
                expected = base**exponent
            except ZeroDivisionError:
                assert failure(text).code == "E0305"
                continue
            whole = expected.denominator == 1
            if abs(expected.numerator) < 2**63 and (whole or expected.denominator < 2**63):
                found = value(text)
                assert found == expected and type(found) is (int if whole else Fraction)
            else:
                assert failure(text).code == "E0306"


def test_precedence_of_powers() -> None:
    """Signs, products and powers in any order have Python's meaning."""
    for text in (
        "-2**2",
        "2**-1",
        "2**3**2",
        "-2**-2",
        "2*3**2*4",
        "- -3**2",
        "2**-2**2",
        "4**0.5",
        "1.2**3",
        "w**2//3",
    ):
        assert value(text) == eval(text, {"w": 32})
        assert type(value(text)) in (int, Fraction, float)


NUMBERS = st.integers(0, 50).map(str) | st.sampled_from(["w", "g", "i", "n[0]", "(7/2)"])


@settings(deadline=None, max_examples=300)
@given(first=NUMBERS, rest=st.lists(st.tuples(st.sampled_from(["+", "-", "*", "//", "%"]), NUMBERS), max_size=8))
def test_arithmetic_agrees_with_python(first: str, rest: list[tuple[str, str]]) -> None:
    """An own shunting of the two levels of precedence, in exact fractions."""
    operators: dict[str, Any] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "//": operator.floordiv,
        "%": operator.mod,
    }
    known: dict[str, int | Fraction] = {"w": 32, "g": 2, "i": 1, "n[0]": 3, "(7/2)": Fraction(7, 2)}

    def number(text: str) -> Fraction:
        return Fraction(known[text] if text in known else int(text))

    text = first + "".join(f" {sign} {right}" for sign, right in rest)
    terms: list[tuple[str, Fraction]] = [("+", number(first))]
    try:
        for sign, right in rest:
            if sign in "+-":
                terms.append((sign, number(right)))
            else:
                before, left = terms[-1]
                terms[-1] = (before, Fraction(operators[sign](left, number(right))))
        expected = Fraction(0)
        for sign, term in terms:
            expected = operators[sign](expected, term)
    except ZeroDivisionError:
        assert failure(text).code == "E0305"
        return
    assert value(text) == expected
