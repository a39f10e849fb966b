"""Diagnostics and explanations as text and Markdown for an editor."""

from __future__ import annotations

import re
from functools import cache

from archdsl.diagnostics import Diagnostic
from archdsl.explain import Page, page

PAGES = "https://github.com/archdsl/archdsl/blob/main/docs/errors.md"


def message(d: Diagnostic) -> str:
    """Return the text of a diagnostic as `archdsl check` prints it, without the lines of the source."""
    label = f"{d.message} ({d.label})" if d.label else d.message
    return "\n".join([label, *d.notes, *([f"help: {d.help}"] if d.help else [])])


@cache
def explanation(code: str) -> Page:
    return page(code)


@cache
def link(code: str) -> str:
    """Return the address of a code's explanation: a heading of `docs/errors.md`, by its anchor on GitHub."""
    heading = f"{code}: {explanation(code).title}".lower()
    return f"{PAGES}#{re.sub(r'[^a-z0-9 _-]', '', heading).replace(' ', '-')}"
