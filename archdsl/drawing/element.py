"""Elements of an SVG as text: every attribute and every text escaped."""

from __future__ import annotations

from archdsl.report.text import xml

_NAMES = {"class_": "class", "viewBox": "viewBox", "patternUnits": "patternUnits"}


def element(tag: str, *inside: str, **attributes: str | float | None) -> str:
    """`<tag ...>inside</tag>`. `inside` is markup; attributes are texts, or numbers in points; None: left out.

    `stroke_width` is `stroke-width`, `class_` is `class`.
    """
    fields = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    return f"<{tag}{fields}>{''.join(inside)}</{tag}>" if inside else f"<{tag}{fields}/>"


def _name(key: str) -> str:
    return _NAMES.get(key) or key.replace("_", "-")


def _value(value: str | float) -> str:
    return xml(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
