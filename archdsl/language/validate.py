"""pydantic models of located trees, with every error at its place and in this project's words."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from archdsl.diagnostics import ArchError, Diagnostic, Span, did_you_mean, error
from archdsl.language.expressions import Value, show
from archdsl.source import Map, Scalar, Seq, Tree

M = TypeVar("M", bound=BaseModel)


def plain(tree: Tree) -> Any:
    """The tree as dicts, tuples and scalars."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Seq):
        return tuple(plain(item) for item in tree.items)
    return {name: plain(entry.value) for name, entry in tree.entries.items()}


def locate(tree: Tree, path: tuple[int | str, ...]) -> tuple[Span, Tree]:
    """The place that a pydantic error's `loc` means: the deepest part of it that exists."""
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
    """A model of the tree. Raises E0201 (unknown key), E0202 (wrong value) or E0203 (missing key), all at once."""
    if not isinstance(tree, Map):
        raise error("E0202", f"`{what}` must be a mapping", tree.span)
    try:
        return model.model_validate(plain(tree) if data is None else data)
    except ValidationError as e:
        found = []
        for item in e.errors(include_url=False):
            found.append(_located(model, tree, what, item))
        raise ArchError({(d.code, d.span): d for d in found}.values()) from None


def _located(model: type[BaseModel], tree: Map, what: str, item: Any) -> Diagnostic:
    loc = tuple(item["loc"])
    span, _ = locate(tree, loc)
    name = str(loc[0]) if loc else what
    known = [f.alias or k for k, f in model.model_fields.items()]
    if item["type"] == "extra_forbidden":
        return Diagnostic("E0201", f"`{loc[-1]}` is not a key of `{what}`", tree.entries[name].key.span if len(loc) == 1 else span,
                          help=did_you_mean(str(loc[-1]), known))  # fmt: skip
    if item["type"] == "missing":
        return Diagnostic("E0203", f"`{what}` needs `{name}`", tree.span)
    return Diagnostic("E0202", f"`{name}` of `{what}`: {pydantic_message(item)}", span)


def pydantic_message(item: Any) -> str:
    """A pydantic error in this project's words: what is needed, and what was received."""
    message = str(item["msg"])
    message = re.sub(r"^Input should be (a )?valid (.*)$", r"must be a \2", message)
    message = re.sub(r"^Input should be ", "must be ", message).replace("tuple", "list").replace("a integer", "a whole number")
    message = message.replace("must be a boolean", "must be true or false").replace("or equal to ", "or equal to ")
    value = item.get("input")
    shown = show(frozen(value)) if isinstance(value, (int, float, str, list, tuple, bool, type(None))) else ""
    return f"{message}, not `{shown[:80]}`" if shown else message


def frozen(value: Any) -> Value:
    """Lists made tuples, all the way down."""
    return tuple(frozen(v) for v in value) if isinstance(value, (list, tuple)) else value
