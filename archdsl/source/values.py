"""The value of a plain scalar in the core schema of YAML 1.2."""

from __future__ import annotations

import re

from archdsl.diagnostics import Span, error
from archdsl.source.limits import MAX_DIGITS
from archdsl.source.tree import PlainValue

WORDS: dict[str, PlainValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((f"{s}.{w}" for s in ("", "+") for w in ("inf", "Inf", "INF")), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMERIC_START = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?[0-9]++\Z")
_BASED = re.compile(r"0o[0-7]++\Z|0x[0-9a-fA-F]++\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]++|[0-9]++(?:\.[0-9]*+)?)(?:[eE][-+]?[0-9]++)?\Z")


def plain_value(text: str, span: Span | None = None) -> PlainValue:
    """Return the value of a plain scalar in YAML 1.2's core schema.

    Raises E0111 for a number with more than 100 digits or outside the range of a float.
    """
    if text[:1] not in _NUMERIC_START:
        return WORDS.get(text, text)
    if _INT.match(text):
        _check_length(text, span)
        return int(text)
    if _FLOAT.match(text):
        _check_length(text, span)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise error("E0111", f"{text} is outside the range of a float", span)
        return number
    if _BASED.match(text):
        _check_length(text, span)
        return int(text, 0)
    return WORDS.get(text, text)


def _check_length(text: str, span: Span | None) -> None:
    if len(text) > MAX_DIGITS:
        raise error("E0111", f"the number has {len(text):,} digits; the limit is {MAX_DIGITS}", span)
