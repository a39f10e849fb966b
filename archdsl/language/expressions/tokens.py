"""Tokens of expressions, and the help for tokens of other languages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from archdsl.diagnostics import Proposal
from archdsl.language.expressions.values import FUNCTIONS


class Token(NamedTuple):
    """A token and its position in the text."""

    kind: str
    """number, name, op, or end"""
    text: str
    start: int
    end: int


TOKEN = re.compile(
    r"[ \t\r\n]*+(?:"
    r"(?P<number>(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<op>\*\*|//|==|!=|<=|>=|:=|&&|\|\||<<|>>|[-+*/%<>=()\[\],.:!?&|^~@;{}$'\"`\\#])"
    r"|(?P<end>\Z))"
)

NOT_HERE: Mapping[str, tuple[str, str]] = {
    ":=": ("`:=` is not allowed in expressions", "name the value in `args`"),
    ".": ("`.` is not allowed in expressions: values have no attributes", ""),
    "'": ("strings are not allowed in expressions", "write a name without quotes: `relu`"),
    '"': ("strings are not allowed in expressions", "write a name without quotes: `relu`"),
    "=": ("`=` is not allowed in expressions", Proposal("use `==` to compare", "==")),
    ":": ("`:` is not allowed in expressions", "an index is one number: `a[0]`; slices are not supported"),
    "&&": ("`&&` is not allowed in expressions", Proposal("write `and`", "and", safe=True)),
    "||": ("`||` is not allowed in expressions", Proposal("write `or`", "or", safe=True)),
    "!": ("`!` is not allowed in expressions", Proposal("write `not`", "not", safe=True)),
    "?": ("`?` is not allowed in expressions", "write `a if condition else b`"),
    "{": ("`{` is not allowed in expressions", "write a list as `[...]`"),
    "^": ("`^` is not allowed in expressions", Proposal("write a power as `x**2`", "**")),
}
FOREIGN = frozenset(
    [
        *("as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "except", "finally"),
        *("for", "from", "global", "import", "is", "lambda", "nonlocal", "pass", "raise", "return", "try", "while"),
        *("with", "yield"),
    ]
)
LOOKALIKES: Mapping[str, str] = {
    char: Proposal(f"write `{meant}`", meant, safe=True)
    for char, meant in {
        "\N{MULTIPLICATION SIGN}": "*",
        "\N{DIVISION SIGN}": "/",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{NOT EQUAL TO}": "!=",
    }.items()
}
"""The help for a character that looks like an operator."""
HAVE = "expressions support + - * / // % **, == != < <= > >=, and or not, a if c else b, a[i], [a, b], " + ", ".join(
    f"{name}()" for name in FUNCTIONS
)


def instead_of(text: str) -> str:
    """Return the help for a number with letters after it: `1x2x2`, `1xk` or `2x`."""
    sizes = text.split("x")
    if sizes[1:] and all(sizes):
        return f"write a number for each axis as a list: `[{','.join(sizes)}]`"
    parts = re.fullmatch(r"(\d+)([A-Za-z]\w{,19})", text)
    return f"`*` multiplies: write `{parts[1]}*{parts[2]}`" if parts else "`*` multiplies: write `2*x`"
