"""Expressions of the language: `2 if first else 1`, `divisible(e//4, 8)`, `n[1]`, and calls such as `bneck(*rows[i])`.

An own tokenizer, a Pratt parser that turns the text into closures (constants folded), and positions for
every error. Nothing here can loop, build strings or reach Python; text, depth and numbers are bounded, and
an evaluation takes no more steps than the text is long.
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
    """The expression `scalar.text[start:end]`.

    Errors: E0303 it is not an expression, E0305 and E0306 also, where constants alone show the mistake.
    """
    if start == 0 and end is None and not isinstance(scalar.value, str):
        return literal_of(scalar.value, scalar.span, scalar.text)
    parser = Parser(scalar, start, end)
    node = parser.ternary()
    parser.expect_end()
    return parser.expr(node)


def parse_call(scalar: Scalar, start: int = 0, end: int | None = None) -> BlockCall:
    """`bneck(3, 16, relu)`, `bneck(*rows[i])`, `basic(128, s=2)`, or the bare name `double`.

    Errors: as `parse`.
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
