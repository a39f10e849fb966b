"""Expressions of the language: `2 if first else 1`, `divisible(e//4, 8)`, `n[1]`, and calls such as `bneck(*rows[i])`.

An own tokenizer, a Pratt parser that turns the text into closures (constants folded), and positions for
every error. Nothing here can loop, build strings or reach Python; text, depth and numbers are bounded, and
an evaluation takes no more steps than the text is long.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeGuard

from archdsl.diagnostics import ArchError, Label, Span, closest, did_you_mean, error
from archdsl.source import Scalar

Value: TypeAlias = bool | int | float | Fraction | str | tuple[Any, ...] | None
"""A string is the name of a kind or block, standing for itself; a tuple is a list of values."""

Number: TypeAlias = int | float | Fraction
Lookup: TypeAlias = Callable[[str], Value]
"""What a name stands for; raises KeyError(name) where it stands for nothing."""

MAX_TEXT = 2_000
MAX_DEPTH = 32
MAX_ITEMS = 10_000
LIMIT = 2**63

CONSTANTS: Mapping[str, Value] = {"true": True, "false": False, "none": None}
FUNCTIONS = ("abs", "ceil", "divisible", "floor", "int", "len", "max", "min", "round", "sum")
WORDS = frozenset(("and", "or", "not", "if", "else", *CONSTANTS))
"""Words that can never be the name of an argument."""


_NO_NAMES: frozenset[str] = frozenset()


class Env:
    """Names and what they stand for, over those of `parent`.

    `lazy` holds names whose value is worked out when it is asked for (`in`), and may raise an ArchError then.
    """

    __slots__ = ("lazy", "parent", "values")

    def __init__(
        self,
        values: Mapping[str, Value],
        parent: Env | None = None,
        lazy: Mapping[str, Callable[[], Value]] | None = None,
    ) -> None:
        self.values = values
        self.parent = parent
        self.lazy = lazy

    def __call__(self, name: str) -> Value:
        env: Env | None = self
        while env is not None:
            if name in env.values:
                return env.values[name]
            if env.lazy is not None and name in env.lazy:
                return env.lazy[name]()
            env = env.parent
        raise KeyError(name)

    @property
    def known(self) -> tuple[str, ...]:
        """Every name there is, the nearest first."""
        names: dict[str, None] = {}
        env: Env | None = self
        while env is not None:
            names.update(dict.fromkeys(env.values))
            names.update(dict.fromkeys(env.lazy or ()))
            env = env.parent
        return tuple(names)

    @property
    def own(self) -> tuple[str, ...]:
        """Of `known` those that do not just stand for themselves, as the names of kinds and blocks do."""
        same: set[str] = set()
        env: Env | None = self
        while env is not None:
            same.update(name for name, value in env.values.items() if value == name)
            env = env.parent
        return tuple(name for name in self.known if name not in same)


@dataclass(frozen=True, slots=True, eq=False)
class Expr:
    """An expression, ready to be evaluated. `names` are all that stand in it, `constant` says that there are none."""

    text: str
    span: Span
    names: frozenset[str]
    constant: bool
    run: Callable[[Lookup], Value]

    def evaluate(self, env: Lookup) -> Value:
        """Errors: E0304 an unknown name, E0305 a wrong type or index, or 1/0, E0306 too large a number."""
        return self.run(env)


class Arg(NamedTuple):
    """`3`, `s=2` or, with `star`, `*rows[i]`; `span` is all of it."""

    value: Expr
    star: bool
    name: str | None
    span: Span


class Call(NamedTuple):
    name: str
    name_span: Span
    args: tuple[Arg, ...]
    span: Span


def parse(scalar: Scalar, start: int = 0, end: int | None = None) -> Expr:
    """The expression `scalar.text[start:end]`.

    Errors: E0303 it is not an expression, E0305 and E0306 also, where constants alone show the mistake.
    """
    if start == 0 and end is None and not isinstance(scalar.value, str):
        return _literal(scalar.value, scalar.span, scalar.text)
    parser = _Parser(scalar, start, end)
    node = parser.ternary()
    parser.expect_end()
    return parser.expr(node)


def parse_call(scalar: Scalar, start: int = 0, end: int | None = None) -> Call:
    """`bneck(3, 16, relu)`, `bneck(*rows[i])`, `basic(128, s=2)`, or the bare name `double`.

    Errors: as `parse`.
    """
    parser = _Parser(scalar, start, end)
    token = parser.token
    if token.kind != "name" or token.text in WORDS:
        parser.fail(f"expected a name, found {parser.shown()}", token)
    parser.advance()
    args: tuple[Arg, ...] = ()
    last = token
    if parser.token.text == "(":
        args, last = parser.arguments()
    parser.expect_end()
    return Call(token.text, parser.span(token), args, parser.span(token, last))


def literal(value: Value, span: Span) -> Expr:
    """A constant that stands at `span`.

    Errors: E0306 a number of 2^63 or more, or a list of more than 10,000 items.
    """
    return _literal(value, span, show(value))


def _literal(value: Value, span: Span, text: str) -> Expr:
    _check_literal(value, span)
    return Expr(text, span, _NO_NAMES, True, _constant(value) if type(value) is int else lambda env: value)


@lru_cache(maxsize=1024)
def _constant(value: int) -> Callable[[Lookup], Value]:
    """The same number is written many times: one closure for all of them."""
    return lambda env: value


def _check_literal(value: Value, span: Span) -> None:
    if isinstance(value, tuple):
        if len(value) > MAX_ITEMS:
            raise error("E0306", f"a list of {len(value):,} items; the limit is {MAX_ITEMS:,}", span)
        for item in value:
            _check_literal(item, span)
    elif isinstance(value, int) and not -LIMIT < value < LIMIT:
        raise error("E0306", f"{show(value)} is too large: numbers stay below 2^63", span)


def show(value: Value) -> str:
    """A value as it would be written: `3/2`, `[1, 2]`, `true`, `none`."""
    if isinstance(value, tuple):
        items = [show(item) for item in value[:20]] + (["..."] if len(value) > 20 else [])
        return f"[{', '.join(items)}]"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"{str(value)[:20]}... ({len(str(value))} digits)"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return str(value)


def truth(value: Value, span: Span) -> bool:
    """Whether a condition holds: booleans, numbers (0 does not), lists (empty does not), `none` (does not).

    Errors: E0305 a name, which is neither true nor false.
    """
    if isinstance(value, str):
        raise error("E0305", f"`{value}` is neither true nor false", span, help="compare it: `a == relu`")
    return bool(value)


def as_whole(value: Value, span: Span, what: str) -> int:
    """The whole number that `what` must be.

    Errors: E0315 it is a fraction, E0305 it is no number at all, E0306 it is too large.
    """
    if type(value) is int:
        if -LIMIT < value < LIMIT:
            return value
        raise error("E0306", f"{what} is too large: numbers stay below 2^63", span)
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise error("E0305", f"{what} must be a whole number, not {_described(value)}", span)
    if math.isfinite(value) and value == int(value):
        return as_whole(int(value), span, what)
    written, shown = " ".join(span.text.split()), _decimal(value)
    came = shown if written == shown or len(written) > 60 else f"{written} is {shown}"
    raise error("E0315", f"{what} must come out whole: {came}", span, help="`//` divides and rounds down")


def _decimal(value: Number) -> str:
    """38.4 for 192/5, which a decimal says exactly, but 1/3 for 1/3."""
    if isinstance(value, Fraction):
        rounded = round(value, 4)
        if rounded == value:
            return str(float(rounded))
    return show(value)


def _described(value: Value) -> str:
    if isinstance(value, tuple):
        return f"the list {show(value)}"
    if isinstance(value, str):
        return f"the name `{value}`"
    return f"`{show(value)}`"


# --- tokens ------------------------------------------------------------------------------------------------


class Token(NamedTuple):
    kind: str
    """number, name, op, or end"""
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"[ \t\r\n]*+(?:"
    r"(?P<number>(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<op>\*\*|//|==|!=|<=|>=|:=|&&|\|\||<<|>>|[-+*/%<>=()\[\],.:!?&|^~@;{}$'\"`\\#])"
    r"|(?P<end>\Z))"
)

_NOT_HERE: Mapping[str, tuple[str, str]] = {
    "**": ("there is no power operator", "write `x*x`"),
    ":=": ("`:=` is not part of expressions", "name the value in `args`"),
    ".": ("`.` is not part of expressions: values have no attributes", ""),
    "'": ("strings are not part of expressions", "write a name without quotes: `relu`"),
    '"': ("strings are not part of expressions", "write a name without quotes: `relu`"),
    "=": ("`=` is not part of expressions", "`==` compares"),
    ":": ("`:` is not part of expressions", "an index is one number: `a[0]`; there are no slices"),
    "&&": ("`&&` is not part of expressions", "write `and`"),
    "||": ("`||` is not part of expressions", "write `or`"),
    "!": ("`!` is not part of expressions", "write `not`"),
    "?": ("`?` is not part of expressions", "write `a if condition else b`"),
    "{": ("`{` is not part of expressions", "lists stand in `[...]`"),
    "^": ("there is no power operator", "write `x*x`"),
}
_FOREIGN = frozenset(
    [
        *("as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "except", "finally"),
        *("for", "from", "global", "import", "is", "lambda", "nonlocal", "pass", "raise", "return", "try", "while"),
        *("with", "yield"),
    ]
)
_LOOKALIKES = {
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{DIVISION SIGN}": "/",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{NOT EQUAL TO}": "!=",
}
_HAVE = "expressions have + - * / // %, == != < <= > >=, and or not, a if c else b, a[i], [a, b], " + ", ".join(
    f"{name}()" for name in FUNCTIONS
)

# --- the parser --------------------------------------------------------------------------------------------


class Node(NamedTuple):
    """A parsed part: what evaluates it, where it stands, and whether it is constant."""

    run: Callable[[Lookup], Value]
    start: int
    end: int
    constant: bool


_BINARY = {
    **dict.fromkeys(("or",), 1),
    **dict.fromkeys(("and",), 2),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/", "//", "%"), 6),
}
_NOT = 3
_COMPARE = 4
_UNARY = 7


class _Parser:
    """Builds closures while it reads. Every nesting goes through `ternary` or `operand`, which count the depth."""

    def __init__(self, scalar: Scalar, start: int, end: int | None) -> None:
        self.scalar = scalar
        self.stop = len(scalar.text) if end is None else end
        self.names: set[str] = set()
        self.depth = 0
        if self.stop - start > MAX_TEXT:
            message = f"an expression of {self.stop - start:,} characters; the limit is {MAX_TEXT:,}"
            raise error("E0306", message, scalar.part(start, self.stop))
        self.token = self.read(start)
        if self.token.kind == "end":
            raise error("E0303", "an expression is missing here", scalar.part(start, self.stop))

    # tokens

    def read(self, at: int) -> Token:
        found = _TOKEN.match(self.scalar.text, at, self.stop)
        if found is None:
            self.unreadable(at)
        kind = found.lastgroup or "end"
        token = Token(kind, found.group(kind), found.start(kind), found.end(kind))
        if kind == "number":
            self.check_number(token)
        return token

    def unreadable(self, at: int) -> NoReturn:
        text = self.scalar.text
        while text[at] in " \t\r\n":
            at += 1
        char, span = text[at], self.scalar.part(at, at + 1)
        if char.isascii():
            raise error("E0303", f"{char!r} is not part of expressions", span, help=_HAVE)
        name = unicodedata.name(char, "an unnamed character")
        help_ = f"write `{_LOOKALIKES[char]}`" if char in _LOOKALIKES else "only ASCII characters can stand here"
        raise error("E0303", f"`{char}` is U+{ord(char):04X}, {name}", span, help=help_)

    def check_number(self, token: Token) -> None:
        """Errors: E0303 `3x3`, `1_000`; E0306 2^63 and more."""
        after = self.scalar.text[token.end : min(token.end + 1, self.stop)]
        if after.isalnum() or after == "_":
            word = re.compile(r"\w+").match(self.scalar.text, token.end, self.stop)
            whole = self.scalar.part(token.start, word.end() if word else token.end)
            help_ = "write the digits alone" if after == "_" else "`*` multiplies: write `2*x`"
            raise error("E0303", "a number cannot be followed by a letter", whole, help=help_)
        if token.text.isdigit():
            if len(token.text.lstrip("0")) > 19 or int(token.text) >= LIMIT:
                self.fail_large(token.text, token.start, token.end)
        elif math.isinf(float(token.text)):
            self.fail_large(token.text, token.start, token.end)

    def advance(self) -> None:
        self.token = self.read(self.token.end)

    def take(self, text: str) -> bool:
        if self.token.text != text or self.token.kind == "number":
            return False
        self.advance()
        return True

    def expect(self, text: str, opened: Token) -> Token:
        """The closing bracket of `opened`."""
        token = self.token
        if token.text != text:
            label = Label(self.span(opened), "opened here")
            if token.kind == "end":
                message = f"this `{opened.text}` is never closed"
                raise error("E0303", message, self.span(opened), label="opened here")
            self.refuse_operator(f"expected `{text}`, found {self.shown()}", labels=(label,))
        self.advance()
        return token

    def expect_end(self) -> None:
        if self.token.kind != "end":
            self.refuse_operator(f"expected an operator or the end, found {self.shown()}")

    def refuse_operator(self, message: str, **more: Any) -> NoReturn:
        """Something else than an operator stands where one was due."""
        token = self.token
        if token.text in _NOT_HERE:
            self.not_here(token)
        if token.text in ("in", "is"):
            self.fail(f"there is no operator `{token.text}`", token, help="`==` compares")
        if token.text in _FOREIGN:
            self.fail(f"`{token.text}` is not part of expressions", token, help=_HAVE)
        if token.text in (")", "]", "}"):
            message = f"`{token.text}` closes nothing" if not more else message
        more.setdefault("help", "")
        self.fail(message, token, **more)

    # errors

    def span(self, first: Token, last: Token | None = None) -> Span:
        return self.scalar.part(first.start, (last or first).end)

    def shown(self) -> str:
        return "the end" if self.token.kind == "end" else f"`{self.token.text[:80]}`"

    def fail(self, message: str, token: Token, **more: Any) -> NoReturn:
        raise error("E0303", message, self.span(token), **more)

    def not_here(self, token: Token) -> NoReturn:
        message, help_ = _NOT_HERE[token.text]
        self.fail(message, token, help=help_ or _HAVE)

    def fail_large(self, text: str, start: int, end: int) -> NoReturn:
        shown = text if len(text) <= 40 else f"a number of {len(text):,} digits"
        raise error("E0306", f"{shown} is too large: numbers stay below 2^63", self.scalar.part(start, end))

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise error("E0306", f"nested deeper than {MAX_DEPTH} levels", self.span(self.token))

    # building

    def expr(self, node: Node) -> Expr:
        text, span = self.scalar.text[node.start : node.end], self.scalar.part(node.start, node.end)
        return Expr(text, span, frozenset(self.names), not self.names, node.run)

    def node(self, run: Callable[[Lookup], Value], start: int, end: int, *parts: Node) -> Node:
        """A node of `parts`; where all are constant, it is evaluated now."""
        if all(part.constant for part in parts):
            value = run(_nothing)
            return Node(lambda env: value, start, end, True)
        return Node(run, start, end, False)

    # grammar

    def ternary(self) -> Node:
        self.deeper()
        value = self.binary(1)
        if self.token.text == "if":
            self.advance()
            condition = self.binary(1)
            if not self.take("else"):
                self.fail(f"expected `else`, found {self.shown()}", self.token, help="write `a if condition else b`")
            value = self.choice(value, condition, self.ternary())
        self.depth -= 1
        return value

    def choice(self, value: Node, condition: Node, other: Node) -> Node:
        then, test, otherwise = value.run, condition.run, other.run
        where = self.scalar.part(condition.start, condition.end)

        def run(env: Lookup) -> Value:
            chosen = test(env)
            if chosen is True or (chosen is not False and truth(chosen, where)):
                return then(env)
            return otherwise(env)

        return self.node(run, value.start, other.end, value, condition, other)

    def binary(self, least: int) -> Node:
        """Operators that bind at least as tightly as `least`; a run of equal ones is one node, however long."""
        left = self.prefix(least)
        while (power := _BINARY.get(self.token.text, 0)) >= least and power:
            rest: list[tuple[Token, Node]] = []
            while _BINARY.get(self.token.text) == power:
                token = self.token
                self.advance()
                rest.append((token, self.binary(power + 1)))
            left = self.chain(power, left, rest)
        return left

    def chain(self, power: int, left: Node, rest: list[tuple[Token, Node]]) -> Node:
        parts = [left, *(node for _, node in rest)]
        if power < _NOT:
            run = self.logic(rest[0][0].text, parts)
        elif power == _COMPARE:
            if len(rest) > 1:
                self.fail("comparisons do not chain", rest[1][0], help="write `a < b and b < c`")
            run = self.comparison(left, *rest[0])
        elif len(rest) == 1:
            run = self.arithmetic(left, *rest[0])
        else:
            steps = [self.step(token, left.start, node) for token, node in rest]
            run = _sequence(left.run, steps)
        return self.node(run, left.start, parts[-1].end, *parts)

    def prefix(self, least: int) -> Node:
        token = self.token
        if token.text == "not":
            if least > _NOT:
                self.fail("`not` must stand in parentheses here", token, help="write `(not x)`")
            operand = self.operand(_NOT)
            run, where = operand.run, self.scalar.part(operand.start, operand.end)
            return self.node(lambda env: not truth(run(env), where), token.start, operand.end, operand)
        if token.text == "-":
            return self.negative(token, self.operand(_UNARY))
        return self.postfix(self.primary())

    def operand(self, least: int) -> Node:
        self.deeper()
        self.advance()
        operand = self.binary(least)
        self.depth -= 1
        return operand

    def negative(self, token: Token, operand: Node) -> Node:
        inner, place = operand.run, (operand.start, operand.end)

        def run(env: Lookup) -> Value:
            value = inner(env)
            if _is_number(value):
                return -value
            return self.fail_type("-", (value,), place)

        return self.node(run, token.start, operand.end, operand)

    def primary(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.advance()
            number = int(token.text) if token.text.isdigit() else float(token.text)
            return Node(lambda env: number, token.start, token.end, True)
        if token.kind == "name":
            return self.word(token)
        if token.text == "(":
            self.advance()
            inner = self.ternary()
            closing = self.expect(")", token)
            return Node(inner.run, token.start, closing.end, inner.constant)
        if token.text == "[":
            self.advance()
            items, closing = self.items("]", token)
            runs = tuple(item.run for item in items)
            return self.node(lambda env: tuple([run(env) for run in runs]), token.start, closing.end, *items)
        if token.text in _NOT_HERE:
            self.not_here(token)
        help_ = "`*` before a list is for the arguments of a block: `bneck(*rows[i])`" if token.text == "*" else ""
        self.fail(f"expected a value, found {self.shown()}", token, help=help_)

    def word(self, token: Token) -> Node:
        name = token.text
        self.advance()
        if self.token.text == "(":
            return self.call(token)
        if name in CONSTANTS:
            value = CONSTANTS[name]
            return Node(lambda env: value, token.start, token.end, True)
        if name in WORDS:
            self.fail(f"expected a value, found `{name}`", token)
        if name in _FOREIGN:
            self.fail(f"`{name}` is not part of expressions", token, help=_HAVE)
        self.names.add(name)
        return Node(_name(name, self.span(token)), token.start, token.end, False)

    def call(self, name: Token) -> Node:
        function = _FUNCTIONS.get(name.text)
        if function is None:
            help_ = did_you_mean(name.text, FUNCTIONS)
            self.fail(f"there is no function `{name.text[:80]}`", name, help=help_)
        opened = self.token
        self.advance()
        items, closing = self.items(")", opened)
        least, most, work = function
        if not least <= len(items) <= most:
            wanted = str(least) if least == most else f"{least} or more"
            plural = "" if wanted == "1" else "s"
            message = f"`{name.text}` takes {wanted} value{plural}, not {len(items)}"
            raise error("E0303", message, self.span(name, closing))
        runs = tuple(item.run for item in items)
        places = tuple((item.start, item.end) for item in items)
        whole = (name.start, closing.end)

        def run(env: Lookup) -> Value:
            try:
                return work(tuple([one(env) for one in runs]))
            except _Wrong as wrong:
                place = whole if wrong.argument is None else places[wrong.argument]
                raise error(wrong.code, f"`{name.text}`: {wrong}", self.scalar.part(*place)) from None

        return self.node(run, *whole, *items)

    def items(self, closing: str, opened: Token) -> tuple[list[Node], Token]:
        """Values between brackets, up to the closing one."""
        found: list[Node] = []
        if self.token.text != closing:
            found.append(self.ternary())
            while self.take(","):
                found.append(self.ternary())
        return found, self.expect(closing, opened)

    def postfix(self, node: Node) -> Node:
        levels = 0
        while self.token.text in ("[", "("):
            opened = self.token
            if opened.text == "(":
                self.fail("only a function can be called", opened, help=_HAVE)
            levels += 1
            self.deeper()
            self.advance()
            index = self.ternary()
            closing = self.expect("]", opened)
            node = self.index(node, index, closing.end)
        self.depth -= levels
        return node

    def index(self, node: Node, index: Node, end: int) -> Node:
        items, number = node.run, index.run
        whole, inner = self.scalar.part(node.start, node.end), self.scalar.part(index.start, index.end)

        def run(env: Lookup) -> Value:
            values, at = items(env), number(env)
            if not isinstance(values, tuple):
                raise error("E0305", f"only a list has an index, not {_described(values)}", whole)
            if type(at) is not int:
                raise error("E0305", f"an index must be a whole number, not {_described(at)}", inner)
            if not -len(values) <= at < len(values):
                message = f"index {at} is out of range: the list has {len(values)} items"
                raise error("E0305", message, inner, help=f"the list is {show(values)}")
            item: Value = values[at]
            return item

        return self.node(run, node.start, end, node, index)

    # operators

    def logic(self, word: str, parts: list[Node]) -> Callable[[Lookup], Value]:
        """`and` and `or` give back the operand that decides, as in Python; the rest is not evaluated."""
        runs = [(part.run, self.scalar.part(part.start, part.end)) for part in parts]
        last, _ = runs.pop()
        deciding = word == "or"

        def run(env: Lookup) -> Value:
            for operand, where in runs:
                value = operand(env)
                if truth(value, where) is deciding:
                    return value
            return last(env)

        return run

    def comparison(self, left: Node, token: Token, right: Node) -> Callable[[Lookup], Value]:
        compare, sign = _COMPARISONS[token.text], token.text
        first, second, where = left.run, right.run, self.span(token)
        equality = sign in ("==", "!=")

        def run(env: Lookup) -> Value:
            a, b = first(env), second(env)
            if (type(a) is int and type(b) is int) or (_is_number(a) and _is_number(b)):
                return compare(a, b)
            if equality and (a is None or b is None or (type(a) is type(b) and not _is_number(a))):
                return compare(a, b)
            kinds = "numbers, two names, two truth values or two lists" if equality else "numbers"
            message = f"`{sign}` compares two {kinds}: got {_described(a)} and {_described(b)}"
            raise error("E0305", message, where)

        return run

    def arithmetic(self, left: Node, token: Token, right: Node) -> Callable[[Lookup], Value]:
        first = left.run
        step = self.step(token, left.start, right)
        return lambda env: step(first(env), env)

    def step(self, token: Token, start: int, right: Node) -> Callable[[Value, Lookup], Value]:
        """One operator with its right operand, applied to what stands left of it, which begins at `start`."""
        second, sign = right.run, token.text
        fast = _INTEGER[sign]
        slow = _ARITHMETIC[sign]
        divides = sign in ("/", "//", "%")

        def run(a: Value, env: Lookup) -> Value:
            b = second(env)
            if type(a) is int and type(b) is int:
                if b or not divides:
                    value: Value = fast(a, b)
                    if type(value) is not int or -LIMIT < value < LIMIT:
                        return value
                return self.fail_arithmetic(token, a, b)
            if not _is_number(a):
                return self.fail_type(sign, (a, b), (start, token.start))
            if not _is_number(b):
                return self.fail_type(sign, (a, b), (right.start, right.end))
            if divides and not b:
                return self.fail_arithmetic(token, a, b)
            result = _settled(slow(a, b))
            return self.fail_arithmetic(token, a, b) if result is None else result

        return run

    def fail_arithmetic(self, token: Token, a: Value, b: Value) -> NoReturn:
        done = f"{show(a)} {token.text} {show(b)}"
        if not b and token.text in ("/", "//", "%"):
            raise error("E0305", f"division by zero: {done}", self.span(token))
        raise error("E0306", f"{done} is too large: numbers stay below 2^63", self.span(token))

    def fail_type(self, sign: str, values: tuple[Value, ...], place: tuple[int, int]) -> NoReturn:
        """`place` is that of the wrong operand, perhaps with the space behind it."""
        start, end = place
        end = start + len(self.scalar.text[start:end].rstrip())
        got = " and ".join(_described(value) for value in values)
        wants = "two numbers" if len(values) > 1 else "a number"
        raise error("E0305", f"`{sign}` needs {wants}: got {got}", self.scalar.part(start, end))

    # calls of blocks

    def arguments(self) -> tuple[tuple[Arg, ...], Token]:
        opened = self.token
        self.advance()
        args: list[Arg] = []
        if self.token.text != ")":
            args.append(self.argument(args))
            while self.take(","):
                args.append(self.argument(args))
        return tuple(args), self.expect(")", opened)

    def argument(self, before: list[Arg]) -> Arg:
        first, name, star = self.token, None, False
        if first.text == "*":
            star = True
            self.advance()
        elif first.kind == "name" and self.read(first.end).text == "=":
            name = first.text
            self.check_named(first, before)
            self.advance()
            self.advance()
        if name is None and before and before[-1].name is not None:
            self.fail("a plain argument cannot follow a named one", first)
        self.names = set()
        node = self.ternary()
        return Arg(self.expr(node), star, name, self.scalar.part(first.start, node.end))

    def check_named(self, token: Token, before: list[Arg]) -> None:
        if token.text in WORDS:
            self.fail(f"`{token.text}` cannot be the name of an argument", token)
        for arg in before:
            if arg.name == token.text:
                self.fail(f"`{token.text}` is given twice", token, labels=(Label(arg.span, "first here"),))


def _nothing(name: str) -> Value:
    raise KeyError(name)


# --- values ------------------------------------------------------------------------------------------------


def _name(name: str, span: Span) -> Callable[[Lookup], Value]:
    def run(env: Lookup) -> Value:
        try:
            return env(name)
        except KeyError as missing:
            if missing.args != (name,):
                raise
            raise _unknown(name, span, env) from None
        except ArchError as problem:  # from a lazy name, which does not know where it is used
            raise _placed(problem, span) from None

    return run


_MEANT = {
    **dict.fromkeys(("True", "TRUE", "yes", "on"), "true"),
    **dict.fromkeys(("False", "FALSE", "no", "off"), "false"),
    **dict.fromkeys(("None", "NONE", "null", "Null", "NULL"), "none"),
}


_COPY = "`i`, `first` and `last` are known in the text of a repeated node only; a block gets them as arguments"


def _unknown(name: str, span: Span, env: Lookup) -> ArchError:
    meant = _MEANT.get(name) or (closest(name, env.known) if isinstance(env, Env) else None)
    help_ = f"did you mean `{meant}`?" if meant else ""
    if name in ("i", "first", "last"):
        help_ = _COPY
    elif not meant and isinstance(env, Env):
        help_ = did_you_mean(name, env.own)
    return error("E0304", f"`{name[:80]}` is not known here", span, help=help_)


def _placed(problem: ArchError, span: Span) -> ArchError:
    items = [replace(item, span=span) if item.span is None else item for item in problem.diagnostics]
    return ArchError(items, problem.status)


def _is_number(value: Value) -> TypeGuard[Number]:
    kind = type(value)
    return kind is int or kind is float or kind is Fraction


def _settled(value: Number) -> Number | None:
    """A fraction that is whole as an int; None for a number that is too large."""
    if isinstance(value, Fraction):
        if value.denominator == 1:
            value = value.numerator
        elif value.denominator >= LIMIT or not -LIMIT < value.numerator < LIMIT:
            return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if -LIMIT < value < LIMIT else None


def _divide(a: int, b: int) -> Number:
    quotient, rest = divmod(a, b)
    return Fraction(a, b) if rest else quotient


def _divide_any(a: Number, b: Number) -> Number:
    return a / b if isinstance(a, float) or isinstance(b, float) else Fraction(a) / Fraction(b)


_INTEGER: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {**_INTEGER, "/": _divide_any}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def _sequence(
    first: Callable[[Lookup], Value], steps: list[Callable[[Value, Lookup], Value]]
) -> Callable[[Lookup], Value]:
    def run(env: Lookup) -> Value:
        value = first(env)
        for step in steps:
            value = step(value, env)
        return value

    return run


# --- functions ---------------------------------------------------------------------------------------------


class _Wrong(Exception):
    """A function cannot take its argument number `argument`, or, for None, all of them together."""

    def __init__(self, message: str, argument: int | None = None, code: str = "E0305") -> None:
        self.argument = argument
        self.code = code
        super().__init__(message)


Values: TypeAlias = tuple[Value, ...]


def _number(values: Values, at: int = 0) -> Any:
    value = values[at]
    if not _is_number(value):
        raise _Wrong(f"needs a number, got {_described(value)}", at)
    if isinstance(value, float) and not math.isfinite(value):
        raise _Wrong(f"needs a finite number, got {show(value)}", at)
    return value


def _list(values: Values) -> tuple[Any, ...]:
    if not isinstance(values[0], tuple):
        raise _Wrong(f"needs a list, got {_described(values[0])}", 0)
    return values[0]


def _bounded(value: Number) -> Number:
    result = _settled(value)
    if result is None:
        raise _Wrong(f"{show(value)} is too large: numbers stay below 2^63", code="E0306")
    return result


_NUMBERS = frozenset((int, float, Fraction))


def _check_numbers(items: Values, spread: bool) -> None:
    """`spread`: the items are the arguments themselves, not one list. Types are compared as a set: lists are long."""
    if set(map(type, items)) <= _NUMBERS:
        return
    at = next(at for at, item in enumerate(items) if not _is_number(item))
    raise _Wrong(f"needs numbers, got {_described(items[at])}", at if spread else 0)


def _numbers(values: Values) -> Any:
    """The numbers to choose from: two or more arguments, or the items of one list."""
    items = values if len(values) > 1 else _list(values)
    if not items:
        raise _Wrong("the list is empty", 0)
    _check_numbers(items, spread=len(values) > 1)
    return items


def _sum(values: Values) -> Value:
    items = _list(values)
    _check_numbers(items, spread=False)
    total: Number = 0
    if Fraction not in set(map(type, items)):
        return _bounded(sum(items))
    for item in items:  # bounded at every step: denominators multiply
        total = _bounded(total + item)
    return total


def _rounded(how: Callable[[Any], int]) -> Callable[[Values], Value]:
    return lambda values: _bounded(how(_number(values)))


def _divisible(values: Values) -> Value:
    """The multiple of `divisor` nearest to `x`, not below 0.9 x, at least `divisor` (MobileNet's `make_divisible`)."""
    x, divisor = _number(values), _number(values, 1)
    if type(divisor) is not int or divisor < 1:
        raise _Wrong(f"needs a whole number above 0, got {show(divisor)}", 1)
    half = divisor / 2 if isinstance(x, float) else Fraction(divisor, 2)
    nearest = max(divisor, int(x + half) // divisor * divisor)
    least = 0.9 * x if isinstance(x, float) else Fraction(9, 10) * x
    return _bounded(nearest + divisor if nearest < least else nearest)


_FUNCTIONS: Mapping[str, tuple[int, float, Callable[[Values], Value]]] = {
    "abs": (1, 1, lambda values: abs(_number(values))),
    "ceil": (1, 1, _rounded(math.ceil)),
    "divisible": (2, 2, _divisible),
    "floor": (1, 1, _rounded(math.floor)),
    "int": (1, 1, _rounded(int)),
    "len": (1, 1, lambda values: len(_list(values))),
    "max": (1, math.inf, lambda values: max(_numbers(values))),
    "min": (1, math.inf, lambda values: min(_numbers(values))),
    "round": (1, 1, _rounded(round)),
    "sum": (1, 1, _sum),
}
