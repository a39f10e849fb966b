"""Errors that the events alone show: nesting, tags, and the traps of the flow style."""

from __future__ import annotations

import re

from archdsl.diagnostics import ArchError, Source, Span, error
from archdsl.source.brackets import balanced
from archdsl.source.limits import MAX_DEPTH
from archdsl.source.tree import Scalar


def quote_help(text: str = "f(1, 2)", part: bool = False) -> str:
    """What to do with a text that YAML takes apart; `part` where the value goes on before or behind it."""
    text = text if len(text) <= 40 and text.isprintable() and '"' not in text else "f(1, 2)"
    if part:
        return f'quote it with all of its value: "... {text} ...", or use block style, each value on a line of its own'
    return f'quote it: "{text}", or use block style: `- - {text}` is a list of one without quotes'


def too_deep(span: Span) -> ArchError:
    return error("E0106", f"nested deeper than {MAX_DEPTH} levels", span)


def tag_error(span: Span) -> ArchError:
    help_ = "remove it, or quote the value if the `!` belongs to it"
    note = "a tag is never executed, whatever it names"
    return error("E0103", f"YAML tags such as `{span.text}` are not allowed", span, notes=(note,), help=help_)


def short(text: str) -> str:
    """For a message: at most 80 characters."""
    return text if len(text) <= 80 else text[:77] + "..."


def word_span(source: Source, at: int) -> Span:
    """The characters from `at` up to white space or a comma; at least one, at most 80."""
    found = re.compile(r"[^\s,]{1,80}").match(source.text, at)
    return Span(source, at, found.end() if found else min(at + 1, len(source.text)))


# --- traps of the flow style -------------------------------------------------------------------------------


def unbalanced(node: Scalar) -> ArchError:
    """`[f(1, 2)]`: the scalar is `f(1`, and what was meant goes on behind the comma."""
    text, start = node.span.source.text, node.span.start
    line_end = text.find("\n", start)
    rest = text[start : min(len(text) if line_end < 0 else line_end, start + 400)]
    ends = [at for at in range(len(node.text), len(rest)) if rest[at] == ")" and balanced(rest[: at + 1])]
    if ends and "," in rest[: ends[0]]:
        span = Span(node.span.source, start, start + ends[0] + 1)
        return error(
            "E0113", f"YAML splits `{span.text}` at its comma here, inside brackets", span, help=quote_help(span.text)
        )
    message = f"the parentheses of `{short(node.text)}` do not match; YAML splits at every comma inside brackets"
    return error("E0113", message, node.span, help=quote_help())


def lonely_key(key: Scalar, value: Span) -> ArchError:
    if ":" in key.span.source.text[key.span.end : value.start]:
        message, help_ = f"the key `{short(key.text)}` has no value", "write `null` for none, or leave the key out"
    else:
        message = f"`{short(key.text)}` has no value: inside `{{}}` every part between commas is `key: value`"
        help_ = quote_help("add <- a, b")
    return error("E0113", message, key.span, help=help_)
