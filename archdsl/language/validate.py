"""Validates located trees with pydantic models, and turns every pydantic error into a diagnostic with a span."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from archdsl.diagnostics import ArchError, Diagnostic, Span, closest, did_you_mean, error, suggestion
from archdsl.language.expressions import Value, show
from archdsl.source import Map, Scalar, Seq, Tree

M = TypeVar("M", bound=BaseModel)


def plain(tree: Tree) -> Any:
    """Return the tree as dicts, tuples and scalars."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Seq):
        return tuple(plain(item) for item in tree.items)
    return {name: plain(entry.value) for name, entry in tree.entries.items()}


def locate(tree: Tree, path: tuple[int | str, ...]) -> tuple[Span, Tree]:
    """Return the deepest existing part of the tree on the `loc` of a pydantic error, and its span."""
    span = tree.span
    for step in path:
        if isinstance(tree, Map) and str(step) in tree.entries:
            entry = tree.entries[str(step)]
            span, tree = entry.value.span, entry.value
        elif isinstance(tree, Seq) and isinstance(step, int) and step < len(tree.items):
            tree = tree.items[step]
            span = tree.span
    return span, tree


def validate(model: type[M], tree: Tree, what: str, data: Any = None) -> M:
    """Return a model of the tree. Raises E0201 (unknown key), E0202 (wrong value) or E0203 (missing key)."""
    known = [f.alias or k for k, f in model.model_fields.items()]
    if not isinstance(tree, Map):
        raise error("E0202", f"`{what}` must be a mapping", tree.span, help=f"its keys are {', '.join(known)}")
    try:
        return model.model_validate(plain(tree) if data is None else data)
    except ValidationError as e:
        items = e.errors(include_url=False)
        suggested = {closest(str(item["loc"][-1]), known) for item in items if item["type"] == "extra_forbidden"}
        diagnostics = [
            _located(known, tree, what, item)
            for item in items
            if item["type"] != "missing" or item["loc"][-1] not in suggested  # a misspelt key is not missing, too
        ]
        raise ArchError(_one_each(diagnostics)) from None


def _one_each(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """One diagnostic per value: pydantic has an error for each form that a value can have."""
    out: dict[tuple[str, Span | None], Diagnostic] = {}
    for d in diagnostics:
        first = out.setdefault((d.code, d.span), d)
        if first.message != d.message and d.code == "E0202":
            out[d.code, d.span] = replace(
                first, message=first.message.partition(" must be ")[0] + " cannot have this value"
            )
    return [*out.values()]


def _located(known: list[str], tree: Map, what: str, item: Any) -> Diagnostic:
    loc = tuple(item["loc"])
    span, _ = locate(tree, loc)
    name = str(loc[0]) if loc else what
    if item["type"] == "extra_forbidden":
        return Diagnostic(
            "E0201",
            f"`{loc[-1]}` is not a key of `{what}`",
            tree.entries[name].key.span if len(loc) == 1 else span,
            help=did_you_mean(str(loc[-1]), known),
        )
    if item["type"] == "missing":
        return Diagnostic("E0203", f"`{what}` needs `{name}`", tree.span)
    choices = re.findall(r"'([^']*)'", str(item.get("ctx", {}).get("expected", "")))
    near = closest(str(item.get("input")), choices) if choices else None
    help_ = suggestion(str(item.get("input")), near, choices) if near else ""
    return Diagnostic("E0202", f"`{name}` of `{what}` {pydantic_message(item)}", span, help=help_)


_WORDS = (
    (r"^Input should be (a )?valid (.*)$", r"must be a \2"),
    (r"^Input should be ", "must be "),
    (r"a integer", "a whole number"),
    (r"tuple", "list"),
    (r"a boolean", "true or false"),
    (r"greater than or equal to", "at least"),
    (r"less than or equal to", "at most"),
    (r"greater than", "more than"),
    (r"'([^']*)'", r"`\1`"),
    (r"^\w+ should have at (most|least) (\d+) items? after validation, not \d+$", r"must have at \1 \2 items"),
)


def pydantic_message(item: Any) -> str:
    """Return the text of a pydantic error: the valid values, and the actual value."""
    message = str(item["msg"])
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    value = item.get("input")
    if isinstance(value, str):
        return f'{message}, not the string "{value[:60]}"'
    shown = show(frozen(value)) if isinstance(value, (int, float, list, tuple, type(None))) else ""
    return f"{message}, not {shown[:80]}" if shown else message


def frozen(value: Any) -> Value:
    """Return the value with nested lists as tuples."""
    return tuple(frozen(v) for v in value) if isinstance(value, (list, tuple)) else value
