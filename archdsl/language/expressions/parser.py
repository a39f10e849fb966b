"""A Pratt parser of expressions: turns text into functions of an environment."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from archdsl.diagnostics import Label, Span, did_you_mean, error
from archdsl.language.expressions.arithmetic import (
    ARITHMETIC,
    BUILTINS,
    COMPARISONS,
    INTEGER,
    UNDEFINED,
    WrongArgument,
    chained,
    is_number,
    look_up,
    normalised,
    nothing,
    refused,
)
from archdsl.language.expressions.tokens import FOREIGN, HAVE, LOOKALIKES, NOT_HERE, TOKEN, Token, instead_of
from archdsl.language.expressions.values import (
    CONSTANTS,
    FUNCTIONS,
    LIMIT,
    MAX_DEPTH,
    MAX_TEXT,
    WORDS,
    Arg,
    Expr,
    Lookup,
    Value,
    described,
    show,
    truth,
)
from archdsl.source import Scalar


class ParsedPart(NamedTuple):
    """A parsed part: its function, its position, and whether it is constant."""

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


class Parser:
    """Builds closures while it reads. `ternary` and `operand` handle all nesting and count the depth."""

    def __init__(self, scalar: Scalar, start: int, end: int | None) -> None:
        self.scalar = scalar
        self.stop = len(scalar.text) if end is None else end
        self.names: set[str] = set()
        self.depth = 0
        if self.stop - start > MAX_TEXT:
            message = f"this expression has {self.stop - start:,} characters; the limit is {MAX_TEXT:,}"
            raise error("E0306", message, scalar.part(start, self.stop))
        self.token = self.read(start)
        if self.token.kind == "end":
            raise error("E0303", "expected an expression", scalar.part(start, self.stop))

    # tokens

    def read(self, at: int) -> Token:
        match = TOKEN.match(self.scalar.text, at, self.stop)
        if match is None:
            self.unreadable(at)
        kind = match.lastgroup or "end"
        token = Token(kind, match.group(kind), match.start(kind), match.end(kind))
        if kind == "number":
            self.check_number(token)
        return token

    def unreadable(self, at: int) -> NoReturn:
        text = self.scalar.text
        while text[at] in " \t\r\n":
            at += 1
        char, span = text[at], self.scalar.part(at, at + 1)
        if char.isascii():
            raise error("E0303", f"{char!r} is not allowed in expressions", span, help=HAVE)
        help_ = LOOKALIKES.get(char, "only ASCII characters are allowed")
        what = f"`{char}` is U+{ord(char):04X}, {unicodedata.name(char, 'an unnamed character')}"
        raise error("E0303", what, span, help=help_)

    def check_number(self, token: Token) -> None:
        """Raises E0303 for `3x3` and `1_000`, E0306 for 2^63 and more."""
        after = self.scalar.text[token.end : min(token.end + 1, self.stop)]
        if after.isalnum() or after == "_":
            word = re.compile(r"\w+").match(self.scalar.text, token.end, self.stop)
            whole = self.scalar.part(token.start, word.end() if word else token.end)
            help_ = "write digits only" if after == "_" else instead_of(whole.text)
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
        """Read the closing bracket of `opened`. Raises E0303 if there is another token."""
        token = self.token
        if token.text != text:
            label = Label(self.span(opened), "opened here")
            if token.kind == "end":
                message = f"this `{opened.text}` is never closed"
                raise error("E0303", message, self.span(opened), label="opened here")
            help_ = "write a list in brackets: `[1, 2]`" if token.text == "," else ""
            self.refuse_operator(f"expected `{text}`, found {self.shown()}", labels=(label,), help=help_)
        self.advance()
        return token

    def expect_end(self) -> None:
        if self.token.kind != "end":
            self.refuse_operator(f"expected an operator or the end, found {self.shown()}")

    def refuse_operator(self, message: str, **more: Any) -> NoReturn:
        """Raises E0303 for a token that is not an operator."""
        token = self.token
        if token.text in NOT_HERE:
            self.not_here(token)
        if token.text in ("in", "is"):
            self.fail(f"there is no operator `{token.text}`", token, help="use `==` to compare")
        if token.text in FOREIGN:
            self.fail(f"`{token.text}` is not allowed in expressions", token, help=HAVE)
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
        message, help_ = NOT_HERE[token.text]
        self.fail(message, token, help=help_ or HAVE)

    def fail_large(self, text: str, start: int, end: int) -> NoReturn:
        shown = text if len(text) <= 40 else f"a number of {len(text):,} digits"
        raise error("E0306", f"{shown} is too large: numbers must be below 2^63", self.scalar.part(start, end))

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise error("E0306", f"nested deeper than {MAX_DEPTH} levels", self.span(self.token))

    # building

    def expr(self, node: ParsedPart) -> Expr:
        text, span = self.scalar.text[node.start : node.end], self.scalar.part(node.start, node.end)
        return Expr(text, span, frozenset(self.names), not self.names, node.run)

    def node(self, run: Callable[[Lookup], Value], start: int, end: int, *parts: ParsedPart) -> ParsedPart:
        """Return a node of `parts`; evaluate it now if all parts are constant."""
        if all(part.constant for part in parts):
            value = run(nothing)
            return ParsedPart(lambda env: value, start, end, True)
        return ParsedPart(run, start, end, False)

    # grammar

    def ternary(self) -> ParsedPart:
        """Read `a if condition else b`, or anything of higher precedence."""
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

    def choice(self, value: ParsedPart, condition: ParsedPart, other: ParsedPart) -> ParsedPart:
        then, test, otherwise = value.run, condition.run, other.run
        where = self.scalar.part(condition.start, condition.end)

        def run(env: Lookup) -> Value:
            chosen = test(env)
            if chosen is True or (chosen is not False and truth(chosen, where)):
                return then(env)
            return otherwise(env)

        return self.node(run, value.start, other.end, value, condition, other)

    def binary(self, least: int) -> ParsedPart:
        """Read operators of at least the precedence `least`; a run of equal precedence becomes one node."""
        left = self.prefix(least)
        while (power := _BINARY.get(self.token.text, 0)) >= least and power:
            rest: list[tuple[Token, ParsedPart]] = []
            while _BINARY.get(self.token.text) == power:
                token = self.token
                self.advance()
                rest.append((token, self.binary(power + 1)))
            left = self.chain(power, left, rest)
        return left

    def chain(self, power: int, left: ParsedPart, rest: list[tuple[Token, ParsedPart]]) -> ParsedPart:
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
            run = chained(left.run, steps)
        return self.node(run, left.start, parts[-1].end, *parts)

    def prefix(self, least: int) -> ParsedPart:
        token = self.token
        if token.text == "not":
            if least > _NOT:
                self.fail("`not` needs parentheses here", token, help="write `(not x)`")
            operand = self.operand(_NOT)
            run, where = operand.run, self.scalar.part(operand.start, operand.end)
            return self.node(lambda env: not truth(run(env), where), token.start, operand.end, operand)
        if token.text == "-":
            return self.negative(token, self.operand(_UNARY))
        value = self.postfix(self.primary())
        if self.token.text == "**":
            token, exponent = self.token, self.operand(_UNARY)
            run = self.arithmetic(value, token, exponent)
            return self.node(run, value.start, exponent.end, value, exponent)
        return value

    def operand(self, least: int) -> ParsedPart:
        self.deeper()
        self.advance()
        operand = self.binary(least)
        self.depth -= 1
        return operand

    def negative(self, token: Token, operand: ParsedPart) -> ParsedPart:
        inner, place = operand.run, (operand.start, operand.end)

        def run(env: Lookup) -> Value:
            value = inner(env)
            if is_number(value):
                return -value
            return self.fail_type("-", (value,), place)

        return self.node(run, token.start, operand.end, operand)

    def primary(self) -> ParsedPart:
        token = self.token
        if token.kind == "number":
            self.advance()
            number = int(token.text) if token.text.isdigit() else float(token.text)
            return ParsedPart(lambda env: number, token.start, token.end, True)
        if token.kind == "name":
            return self.word(token)
        if token.text == "(":
            self.advance()
            inner = self.ternary()
            closing = self.expect(")", token)
            return ParsedPart(inner.run, token.start, closing.end, inner.constant)
        if token.text == "[":
            self.advance()
            items, closing = self.items("]", token)
            runs = tuple(item.run for item in items)
            return self.node(lambda env: tuple([run(env) for run in runs]), token.start, closing.end, *items)
        if token.text in NOT_HERE:
            self.not_here(token)
        starred = "`*` before a list is only allowed in arguments of a block: `bneck(*rows[i])`"
        help_ = starred if token.text == "*" else ""
        self.fail(f"expected a value, found {self.shown()}", token, help=help_)

    def word(self, token: Token) -> ParsedPart:
        name = token.text
        self.advance()
        if self.token.text == "(":
            return self.call(token)
        if name in CONSTANTS:
            value = CONSTANTS[name]
            return ParsedPart(lambda env: value, token.start, token.end, True)
        if name in WORDS:
            self.fail(f"expected a value, found `{name}`", token)
        if name in FOREIGN:
            self.fail(f"`{name}` is not allowed in expressions", token, help=HAVE)
        self.names.add(name)
        return ParsedPart(look_up(name, self.span(token)), token.start, token.end, False)

    def call(self, name: Token) -> ParsedPart:
        """Read a call of a function. Raises E0303 for an unknown function or a wrong number of values."""
        function = BUILTINS.get(name.text)
        if function is None:
            help_ = did_you_mean(name.text, FUNCTIONS)
            self.fail(f"unknown function `{name.text[:80]}`", name, help=help_)
        opened = self.token
        self.advance()
        items, closing = self.items(")", opened)
        least, most, work = function
        if not least <= len(items) <= most:
            required = str(least) if least == most else f"{least} or more"
            plural = "" if required == "1" else "s"
            message = f"`{name.text}` takes {required} value{plural}, not {len(items)}"
            raise error("E0303", message, self.span(name, closing))
        runs = tuple(item.run for item in items)
        places = tuple((item.start, item.end) for item in items)
        whole = (name.start, closing.end)

        def run(env: Lookup) -> Value:
            try:
                return work(tuple([one(env) for one in runs]))
            except WrongArgument as wrong:
                place = whole if wrong.argument is None else places[wrong.argument]
                raise error(wrong.code, f"`{name.text}`: {wrong}", self.scalar.part(*place)) from None

        return self.node(run, *whole, *items)

    def items(self, closing: str, opened: Token) -> tuple[list[ParsedPart], Token]:
        """Read the values up to the closing bracket."""
        parts: list[ParsedPart] = []
        if self.token.text != closing:
            parts.append(self.ternary())
            while self.take(","):
                parts.append(self.ternary())
        return parts, self.expect(closing, opened)

    def postfix(self, node: ParsedPart) -> ParsedPart:
        levels = 0
        while self.token.text in ("[", "("):
            opened = self.token
            if opened.text == "(":
                self.fail("only a function can be called", opened, help=HAVE)
            levels += 1
            self.deeper()
            self.advance()
            index = self.ternary()
            closing = self.expect("]", opened)
            node = self.index(node, index, closing.end)
        self.depth -= levels
        return node

    def index(self, node: ParsedPart, index: ParsedPart, end: int) -> ParsedPart:
        items, number = node.run, index.run
        whole, inner = self.scalar.part(node.start, node.end), self.scalar.part(index.start, index.end)

        def run(env: Lookup) -> Value:
            values, at = items(env), number(env)
            if not isinstance(values, tuple):
                raise error("E0305", f"only a list can be indexed, not {described(values)}", whole)
            if type(at) is not int:
                raise error("E0305", f"an index must be a whole number, not {described(at)}", inner)
            if not -len(values) <= at < len(values):
                message = f"index {at} is out of range: the list has {len(values)} items"
                raise error("E0305", message, inner, help=f"the list is {show(values)}")
            item: Value = values[at]
            return item

        return self.node(run, node.start, end, node, index)

    # operators

    def logic(self, word: str, parts: list[ParsedPart]) -> Callable[[Lookup], Value]:
        """`and` and `or` return the operand that decides, as in Python; later operands are not evaluated."""
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

    def comparison(self, left: ParsedPart, token: Token, right: ParsedPart) -> Callable[[Lookup], Value]:
        compare, sign = COMPARISONS[token.text], token.text
        first, second, where = left.run, right.run, self.span(token)
        equality = sign in ("==", "!=")

        def run(env: Lookup) -> Value:
            a, b = first(env), second(env)
            if (type(a) is int and type(b) is int) or (is_number(a) and is_number(b)):
                return compare(a, b)
            if equality and (a is None or b is None or (type(a) is type(b) and not is_number(a))):
                return compare(a, b)
            types = "numbers, two names, two booleans or two lists" if equality else "numbers"
            message = f"`{sign}` compares two {types}: got {described(a)} and {described(b)}"
            raise error("E0305", message, where)

        return run

    def arithmetic(self, left: ParsedPart, token: Token, right: ParsedPart) -> Callable[[Lookup], Value]:
        first, step = left.run, self.step(token, left.start, right)
        return lambda env: step(first(env), env)

    def step(self, token: Token, start: int, right: ParsedPart) -> Callable[[Value, Lookup], Value]:
        """Return the function that applies an operator and its right operand to the left one, at `start`."""
        second, sign = right.run, token.text
        fast, slow, undefined = INTEGER.get(sign), ARITHMETIC[sign], UNDEFINED.get(sign)

        def run(a: Value, env: Lookup) -> Value:
            b = second(env)
            if fast is not None and type(a) is int and type(b) is int:
                if b or undefined is None:
                    value: Value = fast(a, b)
                    if type(value) is not int or -LIMIT < value < LIMIT:
                        return value
                return self.fail_arithmetic(token, a, b)
            if not is_number(a):
                return self.fail_type(sign, (a, b), (start, token.start))
            if not is_number(b):
                return self.fail_type(sign, (a, b), (right.start, right.end))
            if undefined is not None and undefined(a, b):
                return self.fail_arithmetic(token, a, b)
            result = normalised(slow(a, b))
            return self.fail_arithmetic(token, a, b) if result is None else result

        return run

    def fail_arithmetic(self, token: Token, a: Value, b: Value) -> NoReturn:
        raise error(*refused(token.text, a, b), self.span(token))

    def fail_type(self, sign: str, values: tuple[Value, ...], place: tuple[int, int]) -> NoReturn:
        """Raises E0305. `place` is that of the wrong operand, possibly with a space after it."""
        start, end = place
        end = start + len(self.scalar.text[start:end].rstrip())
        got = " and ".join(described(value) for value in values)
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
        """Read one argument of a block call: `x`, `name=x` or `*x`."""
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
            self.fail("a positional argument cannot follow a named argument", first)
        self.names = set()
        node = self.ternary()
        return Arg(self.expr(node), star, name, self.scalar.part(first.start, node.end))

    def check_named(self, token: Token, before: list[Arg]) -> None:
        if token.text in WORDS:
            self.fail(f"`{token.text}` cannot be the name of an argument", token)
        for arg in before:
            if arg.name == token.text:
                self.fail(f"`{token.text}` is set twice", token, labels=(Label(arg.span, "first set here"),))
