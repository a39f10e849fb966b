"""Checks what no node of the network has read: names in text that was not expanded, and defaults that apply nowhere.

The walk reports every wrong name that it reads, so only text that it does not reach can contain one afterwards: blocks
that are not called, nodes that `when` leaves out, the other half of `a if c else b`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import chain

from archdsl.diagnostics import Diagnostic, Span, closest, did_you_mean, removing, suggestion
from archdsl.elaborate.make import OTHER_MEANING, OpMaker
from archdsl.elaborate.repeat import COPY_NAMES
from archdsl.language.document import Document, OpDefaults
from archdsl.language.expressions import OF_INPUT, Expr
from archdsl.language.hints import suggest_op
from archdsl.language.syntax import CallSyntax, FieldValue, SyntaxNode
from archdsl.ops import OPS_BY_NAME, Deconv
from archdsl.source import Map, Scalar, Tree

_RELATIVES = {"conv": ("conv", "dwconv", "deconv", "residual")}
"""The words that use the defaults of an op, if they are not only its name."""


def unknown_names(document: Document) -> list[Diagnostic]:
    """Return an error for each name that nothing defines: E0301 for a call, E0304 in an expression."""
    everywhere = frozenset((*document.args, *COPY_NAMES, *OF_INPUT))
    nodes = [(document.net, everywhere), *((head.body, everywhere) for head in document.aux)]
    nodes += [(block.body, everywhere.union(p.name for p in block.params)) for block in document.blocks.values()]
    symbols = frozenset(document.symbols())
    return [problem for node, own in nodes for problem in _of_node(node, own, symbols, document)]


def _of_node(
    node: SyntaxNode, own: frozenset[str], symbols: frozenset[str], document: Document
) -> Iterator[Diagnostic]:
    names = own | symbols
    stack = [node]
    while stack:
        syntax = stack.pop()
        stack += syntax.nested()
        if isinstance(syntax, CallSyntax) and syntax.call.name not in names:
            name = syntax.call.name
            help_ = suggest_op(name, document.blocks)
            yield Diagnostic("E0301", f"unknown op or block `{name[:60]}`", syntax.call.name_span, help=help_)
        for expr in chain.from_iterable(map(_expressions, syntax.expressions())):
            for name in sorted(expr.names - names):
                near = closest(name, names)
                help_ = suggestion(name, near, names) if near else did_you_mean(name, sorted(own))
                yield Diagnostic("E0304", f"unknown name `{name[:60]}`", _place(name, expr.span), help=help_)


def _place(name: str, span: Span) -> Span:
    """The span of a name in an expression."""
    at = re.search(rf"\b{re.escape(name)}\b", span.text)
    return Span(span.source, span.start + at.start(), span.start + at.end()) if at is not None else span


def _expressions(value: Expr | FieldValue) -> Iterator[Expr]:
    if isinstance(value, Expr):
        yield value
    elif value.expr is not None:
        yield value.expr
    else:
        for item in value.items:
            yield from _expressions(item)


def idle_defaults(document: Document, maker: OpMaker) -> list[Diagnostic]:
    """Return a warning (W0424) for each default of the file that no node of the network can use.

    A default for an op that the text of the spec names elsewhere may be meant for a variant.
    """
    warnings: list[Diagnostic] = []
    for name, defaults in document.defaults.items():
        spans = _spans(defaults)
        if not spans or next(iter(spans.values())).source is not document.source:
            continue  # the defaults of a base serve other specs as well
        words = _RELATIVES.get(name, (name,))
        if not any((word, "") in maker.applied for word in words):
            if not _mentions(document.tree, words):
                span = next(iter(spans.values()))
                warnings.append(_idle(f"no node of this spec uses the defaults of `{name}`", span, name))
            continue
        idle = [
            field
            for field in spans
            if field in OPS_BY_NAME[name].model_fields
            and not any((word, field) in maker.applied for word in words if not _differs(word, name, field))
        ]
        warnings += [
            _idle(f"no `{name}` of this network can have the default `{field}`", spans[field], field) for field in idle
        ]
    return warnings


def _differs(word: str, name: str, field: str) -> bool:
    """Whether the op does not take this default of its relative."""
    return word == Deconv.name != name and field in OTHER_MEANING


def _idle(message: str, span: Span, key: str) -> Diagnostic:
    help_ = "remove it from `defaults`"
    return Diagnostic("W0424", message, span, severity="warning", help=help_, fixes=removing(key, span))


def _spans(defaults: OpDefaults) -> dict[str, Span]:
    spans = {name: value.span for name, value in defaults.fields.items()}
    parts = {"norm": defaults.norm, "act": defaults.act}
    return spans | {role: part.name.span for role, part in parts.items() if part is not None}


def _mentions(tree: Tree, words: Collection[str]) -> bool:
    """Whether a text outside `defaults` contains one of the words."""
    pattern = re.compile(rf"\b({'|'.join(words)})\b")
    stack: list[Tree] = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, Scalar):
            if pattern.search(part.text):
                return True
        elif isinstance(part, Map):
            stack += (entry.value for key, entry in part.entries.items() if key != "defaults")
            if any(pattern.search(key) for key in part.entries if key != "defaults"):
                return True
        else:
            stack += part.items
    return False
