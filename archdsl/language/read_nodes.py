"""Reads a located tree into syntax nodes: checks the structure and parses expressions.

`shorthand.desugar` turns short strings into the long form first, so only the long form is read here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from difflib import SequenceMatcher
from functools import partial
from typing import Any, TypeVar

from archdsl.diagnostics import ArchError, Diagnostic, Fix, Proposal, Report, Source, Span, did_you_mean, error
from archdsl.language import expressions
from archdsl.language.expressions import Expr
from archdsl.language.hints import suggest_field, suggest_op, words_of
from archdsl.language.keys import COMMON_KEYS, COMPOSITE_KEYS, HEADS, SHORTCUTS
from archdsl.language.labels import read_label
from archdsl.language.names import check_path, check_pattern
from archdsl.language.shorthand import desugar
from archdsl.language.syntax import (
    BranchesSyntax,
    BrokenSyntax,
    CallSyntax,
    DenseSyntax,
    DoSyntax,
    FieldValue,
    Key,
    ListSyntax,
    MapSyntax,
    NormOrAct,
    OpSyntax,
    Ref,
    ResidualSyntax,
    SyntaxNode,
)
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op
from archdsl.ops.reshape import Split
from archdsl.source import Map, Scalar, Seq, Tree, parse

T = TypeVar("T")
D = TypeVar("D")


def written(tree: Tree, words: frozenset[str] = frozenset()) -> FieldValue:
    """Return the value of a field. Raises E0202 for a mapping, E0303 for an invalid expression."""
    if isinstance(tree, Map):
        raise error("E0202", "expected a number, name, list or expression, found a mapping", tree.span)
    if isinstance(tree, Seq):
        return FieldValue(tree.span, None, tuple(written(one, words) for one in tree.items))
    if isinstance(tree.value, str) and tree.value not in words:
        return FieldValue(tree.span, expressions.parse(tree))
    return FieldValue(tree.span, expressions.literal(tree.value, tree.span))


def expression(tree: Tree, what: str) -> Expr:
    """Return the value of a field as one expression. Raises E0202 for a list."""
    value = written(tree)
    if value.expr is None:
        raise error("E0202", f"`{what}` must be one value, not a list", tree.span)
    return value.expr


def text(tree: Tree, what: str) -> str:
    """Return the value of a field as a string. Raises E0202 for other values."""
    if not isinstance(tree, Scalar) or not isinstance(tree.value, str):
        raise error("E0202", f"`{what}` must be a string", tree.span)
    return tree.value


class Reader:
    """Reads trees into syntax nodes and collects errors. A node with errors becomes a `BrokenSyntax`.

    With `answers`, the errors of a node in the notation of another tool are replaced by one, with the node to write.
    """

    def __init__(self, report: Report, blocks: Collection[str] = (), answers: bool = True) -> None:
        self.report = report
        self.blocks = blocks
        self.answers = answers

    def attempt(self, make: Callable[[], T], fallback: D) -> T | D:
        """Return the result of `make`; if it raises, report its errors and return the fallback."""
        try:
            return make()
        except ArchError as e:
            self.report.extend(e.diagnostics)
            return fallback

    def child(self, tree: Tree, fallback: Span | None = None) -> SyntaxNode:
        """Read any node; report one with errors and return a `BrokenSyntax`."""
        mark = self.report.mark()
        syntax: SyntaxNode
        try:
            syntax = self.node(tree, fallback)
        except ArchError as e:
            self.report.extend(e.diagnostics)
            syntax = BrokenSyntax(span=tree.span, read=_legible_references(tree))
        problems = self.report.errors_since(mark)
        if not problems or not self.answers:
            return syntax
        from archdsl.language.foreign import Context, answered

        key = fallback.text if fallback is not None else ""
        answer = answered(problems, tree, Context(partial(readable, blocks=self.blocks), self.blocks, key))
        if answer is None:
            return syntax
        self.report.revert(mark)
        self.report.extend(answer.diagnostics)
        return BrokenSyntax(span=tree.span, read=_legible_references(tree))

    def node(self, tree: Tree, fallback: Span | None = None) -> SyntaxNode:
        """Read any node. Raises ArchError for errors of the node itself; errors of its children are reported."""
        if isinstance(tree, Scalar):
            if not isinstance(tree.value, str):
                raise _not_a_node(tree, fallback)
            return self.headed(desugar(tree, self.blocks))
        if isinstance(tree, Seq):
            return self.sequence(tree)
        if any(head in tree.entries for head in HEADS):
            return self.headed(tree, fallback)
        return self.mapping(tree, fallback)

    def sequence(self, tree: Seq) -> ListSyntax:
        """Read a list of nodes."""
        return ListSyntax(span=tree.span, items=tuple(self.child(t) for t in tree.items))

    def mapping(self, tree: Map, outer: Span | None = None) -> MapSyntax:
        """Read a mapping of named nodes; `outer` is its key."""
        entries: list[tuple[Key, SyntaxNode]] = []
        self._check_words(tree, outer)
        for entry in tree.entries.values():
            if entry.key.text in _OPTIONS:
                entries.append((Key("", None, entry.key.span), BrokenSyntax(span=entry.key.span)))
                continue
            key = self.attempt(partial(self.key, entry.key), None)
            syntax = self.child(entry.value, entry.key.span)
            if key is None:
                key, syntax = Key(entry.key.text, entry.key.text, entry.key.span), BrokenSyntax(span=entry.value.span)
            entries.append((key, syntax))
        return MapSyntax(span=tree.span, entries=tuple(entries))

    def _check_words(self, tree: Map, outer: Span | None) -> None:
        """Report keys of a sequence that are only valid next to a head word, or that resemble one."""
        for name, entry in tree.entries.items():
            near = _near_head(name)
            if name in _OPTIONS:
                from archdsl.language.misplaced import without_head

                meant = next((f"did you mean `{h}` for `{n}`?" for n in tree.entries if (h := _near_head(n))), "")
                self.report.add(without_head(name, entry, tree, outer, meant))
            elif near and not any(option in tree.entries for option in _OPTIONS):
                what = f"`{name}` is the name of a node here, not the head word `{near}`"
                help_: str = Proposal(f"write `{near}:`, or rename the node", near, name)
                self.report.add(Diagnostic("W0213", what, entry.key.span, severity="warning", help=help_))
            elif outer is not None and name in COMPOSITE_KEYS.get(outer.text, ()):
                what = f"`{name}` is the name of a node here, not the key of `{outer.text}:`"
                help_ = f"move `{name}:` beside `{outer.text}:`, or rename the node"
                self.report.add(Diagnostic("W0213", what, entry.key.span, severity="warning", help=help_))

    def key(self, scalar: Scalar) -> Key:
        """Read the key of a named node. Raises E0501, E0502."""
        name = check_path(scalar)
        return Key(scalar.text, None if name.startswith("_") else name, scalar.span)

    def headed(self, tree: Map, outer: Span | None = None) -> SyntaxNode:
        """Read a mapping with a head word: an op, a call or a composite."""
        heads = [head for head in HEADS if head in tree.entries]
        if len(heads) > 1:
            spans = [tree.entries[h].key.span for h in heads]
            raise error(
                "E0209",
                f"one node cannot be both `{heads[0]}` and `{heads[1]}`",
                spans[1],
                help=f"to name a child `{heads[1]}`, write a leading dot: `.{heads[1]}:`",
            )
        head = heads[0]
        value = tree.entries[head].value
        known_op = head == "op" and _op_of(value) is not None  # as in every node in short form
        if not known_op and any(name not in COMPOSITE_KEYS.get(head, ()) for name in tree.entries):
            from archdsl.language.misplaced import beside_nodes

            misplaced = beside_nodes(tree, head, outer, partial(readable, blocks=self.blocks))
            if misplaced is not None:
                raise misplaced
        common = self._common(tree)
        if head == "op":
            return self._op(tree, value, common)
        unknown = _unknown_keys(tree, head)
        syntax = self._composite(tree, head, value, common)
        if unknown:
            raise ArchError(unknown)
        return syntax

    def _composite(self, tree: Map, head: str, value: Tree, common: dict[str, Any]) -> SyntaxNode:
        if head == "call":
            if not isinstance(value, Scalar) or not isinstance(value.value, str):
                raise error("E0202", "`call` must be a call of a block, e.g. `block(64, 2)`", value.span)
            return CallSyntax(call=expressions.parse_call(value), **common)
        common["then"] = self._child(tree, "then")
        if head == "do":
            return DoSyntax(body=self.child(value, tree.entries[head].key.span), **common)
        if head == "residual":
            return self._residual(tree, value, common)
        if head == "dense":
            if common["repeat"] is None:
                what = "`dense` needs `repeat`, the number of its layers"
                help_ = "add e.g. `repeat: 4`; a node of this name is written `.dense`"
                raise error("E0203", what, tree.entries[head].key.span, help=help_)
            return DenseSyntax(layer=self.child(value, tree.entries[head].key.span), **common)
        return self._branches(tree, head, value, common)

    def _common(self, tree: Map) -> dict[str, Any]:
        """The keys `repeat as from when doc label`, which every node can have."""
        common: dict[str, Any] = {"span": tree.span}
        get = tree.get
        repeat, pattern, sources, when, doc, label = (get(k) for k in COMMON_KEYS)
        common["repeat"] = expression(repeat, "repeat") if repeat is not None else None
        common["when"] = expression(when, "when") if when is not None else None
        common["doc"] = text(doc, "doc") if doc is not None else ""
        common["label"] = read_label(label) if label is not None else None
        common["sources"] = references(sources) if sources is not None else None
        if pattern is not None:
            if repeat is None:
                raise error("E0302", "`as` names the copies of a repeat, but this node has no repeat", pattern.span)
            common["pattern"] = check_pattern(pattern)
        return common

    def _child(self, tree: Map, name: str) -> SyntaxNode | None:
        value = tree.get(name)
        return self.child(value, tree.entries[name].key.span) if value is not None else None

    def _op(self, tree: Map, value: Tree, common: dict[str, Any]) -> OpSyntax:
        op = _op_of(value)
        if op is None:
            name = value.text[:60] if isinstance(value, Scalar) else ""
            raise error(
                "E0301",
                f"unknown op `{name}`" if name else "`op` must be the name of an op",
                value.span,
                help=suggest_op(name),
            )
        own = [k for k in tree.entries if k != "op" and k not in COMMON_KEYS]
        fields = {k: tree.entries[k].value for k in own if k not in ("norm", "act")}
        result = OpSyntax(
            op=op,
            fields=op_fields(op, fields, {k: tree.entries[k].key.span for k in own}),
            norm=part(tree, "norm"),
            act=part(tree, "act"),
            **common,
        )
        if op is Split and (result.norm or result.act or result.label):
            what = "a label" if result.label else "a norm or an activation"
            raise error("E0309", f"`split` cannot have {what}: it has several outputs", tree.span)
        return result

    def _residual(self, tree: Map, value: Tree, common: dict[str, Any]) -> ResidualSyntax:
        common["span"] = tree.entries["residual"].key.span
        body = self.child(value, common["span"])
        scale, shortcut = tree.get("scale"), tree.get("shortcut")
        result = ResidualSyntax(body=body, **common)
        result.scale = expression(scale, "scale") if scale is not None else None
        if shortcut is not None:
            result.shortcut_span = shortcut.span
            plain = shortcut.value if isinstance(shortcut, Scalar) else ""
            result.shortcut = plain if plain in SHORTCUTS else self.child(shortcut, tree.entries["shortcut"].key.span)
        return result

    def _branches(self, tree: Map, head: str, value: Tree, common: dict[str, Any]) -> BranchesSyntax:
        branches: list[tuple[Key | None, SyntaxNode]] = []
        common["span"] = tree.entries[head].key.span
        if isinstance(value, Seq):
            branches = [(None, i) for i in self.sequence(value).items]
        elif isinstance(value, Map) and not any(h in value.entries for h in HEADS):
            branches = [*self.mapping(value, common["span"]).entries]
        if not branches:
            raise error(
                "E0202",
                f"`{head}` must be a list or a mapping of branches",
                tree.entries[head].key.span,
                help=f"e.g. `{head}: {{branch1: 1x1 conv 64, branch2: 3x3 conv 64}}`",
            )
        merge, split = tree.get("merge"), tree.get("split")
        return BranchesSyntax(
            branches=tuple(branches),
            merge=expression(merge, "merge") if merge is not None else None,
            split=expression(split, "split") if split is not None else None,
            **common,
        )


def _op_of(value: Tree) -> type[Op] | None:
    """The op that the value of `op` names."""
    return OPS_BY_NAME.get(value.value) if isinstance(value, Scalar) and isinstance(value.value, str) else None


def readable(text: str, blocks: Collection[str] = ()) -> bool:
    """Return whether a text can be read as a node."""
    report = Report()
    try:
        Reader(report, blocks, answers=False).child(parse(Source("node", text)))
    except ArchError:
        return False
    return not report.failed


def op_fields(op: type[Op], fields: dict[str, Tree], keys: dict[str, Span]) -> dict[str, FieldValue]:
    """Return the parsed fields of an op. Raises E0309 for a field that the op does not have."""
    out = {}
    for name, tree in fields.items():
        if name not in op.model_fields:
            raise error(
                "E0309",
                f"`{op.name}` has no field `{name}`",
                keys[name],
                help=suggest_field(name, [*op.model_fields, "norm", "act", *COMMON_KEYS], tree.span.text),
            )
        drawn = name in op.drawn and isinstance(tree, Scalar) and "\n" in tree.text
        if isinstance(tree, Scalar) and (drawn or name in op.references):
            out[name] = FieldValue(tree.span, expressions.literal(tree.text, tree.span))
        else:
            out[name] = written(tree, words_of(op, name))
    return out


_ROLES = {"norm": "a norm", "act": "an activation"}


def part(tree: Map, role: str) -> NormOrAct | None:
    """Read `norm` or `act` of a node: a name, or a mapping `{op: leaky_relu, slope: 0.1}`. Raises E0301, E0309."""
    value = tree.get(role)
    if value is None:
        return None
    if not isinstance(value, Map):
        return NormOrAct(written(value))
    name = value.get("op")
    if not isinstance(name, Scalar) or name.value not in OPS_BY_NAME or OPS_BY_NAME[str(name.value)].role != role:
        known = [k for k, o in OPS_BY_NAME.items() if o.role == role]
        if not isinstance(name, Scalar):
            raise error("E0301", f"`{role}` needs `op`, one of: {', '.join(known)}", value.span)
        raise error(
            "E0301", f"`{name.text[:60]}` is not {_ROLES[role]}", name.span, help=did_you_mean(name.text, known)
        )
    op = OPS_BY_NAME[str(name.value)]
    rest = {k: e.value for k, e in value.entries.items() if k != "op"}
    return NormOrAct(written(name), op_fields(op, rest, {k: value.entries[k].key.span for k in rest}))


def references(tree: Tree) -> tuple[Ref, ...]:
    """Return the references of `from`: one, or a list. Raises E0302."""
    return tuple(map(reference, tree.items if isinstance(tree, Seq) else (tree,)))


def reference(tree: Tree) -> Ref:
    """Return the reference that a dotted name writes. Raises E0302."""
    ref = Ref.of(tree.text.strip() if isinstance(tree, Scalar) else "", tree.span)
    if not all(re.fullmatch(r"[A-Za-z0-9_-]+", part, re.ASCII) for part in ref.parts):
        raise error("E0302", "a reference must be the name of an earlier node, e.g. `layer1.0`", tree.span)
    return ref


def _legible_references(tree: Tree) -> tuple[Ref, ...]:
    """The references of a node that has errors."""
    after = tree.text.partition("<-")[2] if isinstance(tree, Scalar) else ""
    sources = tree.get("from") if isinstance(tree, Map) else None
    try:
        if sources is not None:
            return references(sources)
        names = re.match(r"\s*[\w.-]+(?:\s*,\s*[\w.-]+)*", after, re.ASCII)
        return () if names is None else tuple(Ref.of(name.strip(), tree.span) for name in names[0].split(","))
    except ArchError:
        return ()


_NEAR = {"r": ("residual",), "i": ("inception",), "b": ("branches",), "d": ("dense",)}
_OPTIONS = ("repeat", "as", "from", "when", "then", "doc", "label")


def _near_head(name: str) -> str:
    """The head word that a name misspells: `residul` and `Residual`, but not `branch` or `dense1`."""
    if name != name.lower() and name.lower() in HEADS:
        return name.lower()
    for head in _NEAR.get(name[:1], ()):
        if abs(len(name) - len(head)) > 2:
            continue
        added = name.startswith(head) and not name[len(head) :].isalpha()
        if name != head and not added and not head.startswith(name) and SequenceMatcher(None, name, head).ratio() > 0.8:
            return head
    return ""


def _unknown_keys(tree: Map, head: str) -> list[Diagnostic]:
    known = COMPOSITE_KEYS[head]
    own = [k for k in known if k != head and k not in COMMON_KEYS]
    out = []
    for name, entry in tree.entries.items():
        if name not in known:
            help_, fixes = _arguments_of_call(tree, head, name)
            help_ = help_ or did_you_mean(name, [*own, *COMMON_KEYS])
            what = f"`{name}` is not a key of `{head}`"
            out.append(Diagnostic("E0201", what, entry.key.span, help=help_, fixes=fixes))
    return out


def _arguments_of_call(tree: Map, head: str, name: str) -> tuple[str, tuple[Fix, ...]]:
    if head != "call":
        return "", ()
    from archdsl.language.foreign.almost import call_with_arguments

    return call_with_arguments(tree, name)


def _not_a_node(scalar: Scalar, key: Span | None) -> ArchError:
    """The error for a node that is empty, a number or a boolean."""
    help_ = "write an op, e.g. `3x3 conv 64`, or a list or mapping of nodes"
    if scalar.value is None:
        return error("E0202", "expected a node, found nothing", key or scalar.span, help=help_)
    if key is not None and key.text in OPS_BY_NAME:
        help_ = f"the key is the name of the node; write the op after it: `{key.text}: {key.text} {scalar.text[:40]}`"
    return error("E0202", f"expected a node, found `{scalar.text[:40]}`", scalar.span, help=help_)
