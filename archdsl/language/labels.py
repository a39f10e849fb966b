"""The `label` of a node or block: its text in figures, with expressions in braces: `MBConv{e}, {k}x{k}`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from archdsl.diagnostics import ArchError, Span, error
from archdsl.language import expressions
from archdsl.language.expressions import Env, Expr, Value, show
from archdsl.source import Scalar, Tree

MAX_TEXT = 200
"""The most characters of a label as written."""
MAX_SHOWN = 80
"""The most characters of a label in a figure."""
_PIECE = re.compile(r"\{\{|\}\}|[{}]|[^{}]+")


class LabelText(NamedTuple):
    """A label as written: its texts and expressions, in order."""

    parts: tuple[str | Expr, ...]
    span: Span

    @property
    def expressions(self) -> tuple[Expr, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expr))

    def evaluate(self, env: Env) -> str:
        """Return the text. Raises E0304 to E0306 for an expression, and E0308 if the text is too long."""
        text = "".join(part if isinstance(part, str) else _shown(_value(part, env)) for part in self.parts)
        if len(text) > MAX_SHOWN:
            raise error("E0308", f"this label has {len(text)} characters; the limit is {MAX_SHOWN}", self.span)
        return text


def _value(expression: Expr, env: Env) -> Value:
    """The value of an expression in a label; a word that is no name may have been meant as text in braces."""
    try:
        return expression.evaluate(env)
    except ArchError as e:
        literal = f"for the text `{{{expression.text}}}`, write `{{{{{expression.text}}}}}`"
        helped = (replace(d, help="; ".join(filter(None, (d.help, literal)))) for d in e.diagnostics)
        raise ArchError([h if d.code == "E0304" else d for d, h in zip(e.diagnostics, helped, strict=True)]) from None


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else show(value)


def read_label(tree: Tree) -> LabelText:
    """Read a label. Raises E0202 if it is no line of text, and E0303 for a brace or an expression with an error."""
    if not isinstance(tree, Scalar) or not isinstance(tree.value, str):
        raise error("E0202", "`label` must be a string", tree.span, help="e.g. `label: stem`, `label: 'block {c}'`")
    text = tree.text
    if not text.strip() or not text.isprintable() or len(text) > MAX_TEXT:
        what = f"one line of printable characters, at most {MAX_TEXT}"
        raise error("E0202", f"`label` must be {what}", tree.span)
    parts: list[str | Expr] = []
    at = 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        assert piece is not None
        at = piece.end()
        if piece[0] == "}":
            raise error("E0303", "this `}` closes nothing", tree.part(at - 1, at), help="write `}}` for a brace")
        if piece[0] == "{":
            end = text.find("}", at)
            if end < 0:
                where = tree.part(at - 1, at)
                raise error("E0303", "this `{` is never closed", where, help="write `{{` for a brace")
            parts.append(expressions.parse(tree, at, end))
            at = end + 1
        else:
            parts.append(piece[0][:1] if piece[0] in ("{{", "}}") else piece[0])
    return LabelText(tuple(parts), tree.span)
