"""Parses and evaluates expressions such as `2 if first else 1` and `divisible(e//4, 8)`, and calls: `bneck(*rows[i])`.

A tokenizer and a Pratt parser turn the text into closures; constants are evaluated at once, and every error has a span.
Expressions cannot loop, build strings or access Python. Text, depth and numbers have limits, and an evaluation takes no
more steps than the text has characters.
"""

from __future__ import annotations

from archdsl.language.expressions.parser import Parser
from archdsl.language.expressions.values import (
    CONSTANTS,
    FUNCTIONS,
    LIMIT,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_TEXT,
    OF_INPUT,
    WORDS,
    Arg,
    BlockCall,
    Env,
    Expr,
    Lookup,
    Value,
    as_whole,
    literal,
    literal_of,
    show,
    truth,
)
from archdsl.source import Scalar

__all__ = [
    "MAX_DEPTH",
    "MAX_ITEMS",
    "MAX_TEXT",
    "OF_INPUT",
    "CONSTANTS",
    "FUNCTIONS",
    "LIMIT",
    "WORDS",
    "Arg",
    "BlockCall",
    "Env",
    "Expr",
    "Lookup",
    "Value",
    "as_whole",
    "literal",
    "show",
    "truth",
    "parse",
    "parse_call",
]


def parse(scalar: Scalar, start: int = 0, end: int | None = None) -> Expr:
    """Parse `scalar.text[start:end]` as an expression.

    Raises E0303 for invalid syntax, and E0305 or E0306 for an error in constants.
    """
    if start == 0 and end is None and not isinstance(scalar.value, str):
        return literal_of(scalar.value, scalar.span, scalar.text)
    parser = Parser(scalar, start, end)
    node = parser.ternary()
    parser.expect_end()
    return parser.expr(node)


def parse_call(scalar: Scalar, start: int = 0, end: int | None = None) -> BlockCall:
    """Parse a call: `bneck(3, 16, relu)`, `bneck(*rows[i])`, `basic(128, s=2)`, or the bare name `double`.

    Raises E0303, E0305, E0306 as `parse` does.
    """
    parser = Parser(scalar, start, end)
    token = parser.token
    if token.kind != "name" or token.text in WORDS:
        parser.fail(f"expected a name, found {parser.shown()}", token)
    parser.advance()
    args: tuple[Arg, ...] = ()
    last = token
    if parser.token.text == "(":
        args, last = parser.arguments()
    parser.expect_end()
    return BlockCall(token.text, parser.span(token), args, parser.span(token, last))
