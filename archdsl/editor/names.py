"""The names that a spec defines, and every place where it uses them: arguments, blocks, their arguments, and nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from archdsl.diagnostics import ArchError, Edit, Source, Span, error
from archdsl.editor.snapshot import Snapshot, snapshots
from archdsl.language.document import Block, Document
from archdsl.language.expressions import Expr
from archdsl.language.names import is_argument, is_key
from archdsl.language.syntax import (
    BranchesSyntax,
    BrokenSyntax,
    CallSyntax,
    DoSyntax,
    FieldValue,
    Key,
    MapSyntax,
    OpSyntax,
    Ref,
    ResidualSyntax,
    SyntaxNode,
)
from archdsl.library.fix import edited
from archdsl.source import Map, Scalar, Tree
from archdsl.spec.find import find_spec, read_source

Kind: TypeAlias = Literal["argument", "block", "parameter", "input", "node"]
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*", re.ASCII)


class Symbol(NamedTuple):
    """A name with its meaning. `owner` is the block that it belongs to; for a node, the place of its definition."""

    kind: Kind
    name: str
    owner: str = ""


class Occurrence(NamedTuple):
    """A place of a name in a file."""

    span: Span
    symbol: Symbol
    defines: bool = False


@dataclass
class _Frame:
    """The names that a sequence defines, with what each of them contains."""

    names: dict[str, tuple[Symbol, SyntaxNode | None]]
    named: bool = True
    parent: _Frame | None = None


@dataclass
class _Reader:
    """Collects the occurrences in one document."""

    document: Document
    out: list[Occurrence] = field(default_factory=list)

    def add(self, span: Span, symbol: Symbol, defines: bool = False) -> None:
        self.out.append(Occurrence(span, symbol, defines))

    def read(self) -> list[Occurrence]:
        document = self.document
        for name, decl in document.args.items():
            self.add(decl.span, Symbol("argument", name), True)
            self.values((decl.default,), None)
        for size in (size for decl in document.inputs for size in decl.sizes):
            self.values((size.expr,), None)
        for defaults in document.defaults.values():
            self.values(defaults.values(), None)
        for block in document.blocks.values():
            self.block(block)
        inputs = document.tree.get("input")
        keys = [entry.key for entry in inputs.entries.values()] if isinstance(inputs, Map) else []
        for key in keys:
            self.add(key.span, Symbol("input", key.text), True)
        outer = _Frame({key.text: (Symbol("input", key.text), None) for key in keys})
        self.node(document.net, outer, None)
        if isinstance(document.net, MapSyntax):
            outer.names.update(_members(document.net.entries))
        for head in document.aux:
            self.reference(head.source, outer)
            self.node(head.body, outer, None)
        for _, ref in document.outputs or ():
            self.reference(ref, outer)
        return self.out

    def block(self, block: Block) -> None:
        signature, *_ = _words_in(block.span, {block.name}) or [block.span]
        self.add(signature, Symbol("block", block.name), True)
        for param in block.params:
            self.add(param.span, Symbol("parameter", param.name, block.name), True)
            if param.default is not None:
                self.values((param.default,), block)
        frame = _Frame({name: (Symbol("input", name, block.name), None) for name in block.inputs})
        for name in block.inputs:
            for span in _words_in(block.span, {name})[-1:]:
                self.add(span, Symbol("input", name, block.name), True)
        self.node(block.body, frame, block)

    def node(self, syntax: SyntaxNode, frame: _Frame, block: Block | None) -> None:
        """Read a node and all that is in it, in the sequence `frame`, within `block`."""
        self.values((v for v in (syntax.repeat, *syntax.expressions()) if v is not None), block)
        sources = syntax.read if isinstance(syntax, BrokenSyntax) else syntax.sources
        for ref in sources or ():
            self.reference(ref, frame)
        if isinstance(syntax, OpSyntax):
            for name in syntax.op.references & syntax.fields.keys():
                span = syntax.fields[name].span
                self.reference(Ref.of(span.text.strip("\"'"), span), frame)
        if isinstance(syntax, CallSyntax):
            self.call(syntax, block)
        entries: Sequence[tuple[Key | None, SyntaxNode]] = ()
        if isinstance(syntax, MapSyntax):
            entries = syntax.entries
        elif isinstance(syntax, BranchesSyntax):
            entries = syntax.branches
        members = _members(entries)
        inner = _Frame(members, bool(members), frame) if entries else frame
        for key, _ in entries:
            if key is not None and key.text in members:
                self.add(key.span, members[key.text][0], True)
        for child in syntax.nested():
            self.node(child, frame if child is syntax.then else inner, block)

    def call(self, syntax: CallSyntax, block: Block | None) -> None:
        call = syntax.call
        symbol = self.meaning(call.name, block)
        if symbol is not None:
            self.add(call.name_span, symbol)
        for arg in call.args:
            if arg.name is not None and call.name in self.document.blocks:
                for span in _words_in(arg.span, {arg.name})[:1]:
                    self.add(span, Symbol("parameter", arg.name, call.name))

    def values(self, values: Iterable[Expr | FieldValue], block: Block | None) -> None:
        for value in values:
            for span in _words_in(value.span, value.names):
                symbol = self.meaning(span.text, block)
                if symbol is not None:
                    self.add(span, symbol)

    def meaning(self, name: str, block: Block | None) -> Symbol | None:
        """What a name means in an expression within `block`: the innermost definition."""
        if block is not None and any(param.name == name for param in block.params):
            return Symbol("parameter", name, block.name)
        if name in self.document.args:
            return Symbol("argument", name)
        return Symbol("block", name) if name in self.document.blocks else None

    def reference(self, ref: Ref, frame: _Frame) -> None:
        """Add each part of `trunk.a`, as far as it names a node."""
        at = ref.span.text.find(ref.text)
        level, around = 0, frame if at >= 0 else None
        found: tuple[Symbol, SyntaxNode | None] | None = None
        count = 1
        while around is not None and found is None:
            level += around.named
            if ref.level in (0, level):
                found, count = _longest(ref.parts, around.names)
            around = around.parent
        start = ref.span.start + at + ref.level
        parts = ref.parts
        while found is not None:
            end = start + len(".".join(parts[:count]))
            self.add(Span(ref.span.source, start, end), found[0])
            start, parts = end + 1, parts[count:]
            found, count = _longest(parts, self.inside(found[1])) if parts else (None, 1)

    def inside(self, syntax: SyntaxNode | None) -> dict[str, tuple[Symbol, SyntaxNode | None]]:
        """The names in a node, as a reference from outside of it reads them."""
        if syntax is not None and syntax.repeat is not None:
            return {}
        if isinstance(syntax, MapSyntax):
            return _members(syntax.entries)
        if isinstance(syntax, BranchesSyntax):
            return _members(syntax.branches)
        if isinstance(syntax, DoSyntax | ResidualSyntax):
            return self.inside(syntax.body)
        if isinstance(syntax, CallSyntax) and syntax.call.name in self.document.blocks:
            return self.inside(self.document.blocks[syntax.call.name].body)
        return {}


def _members(entries: Sequence[tuple[Key | None, SyntaxNode]]) -> dict[str, tuple[Symbol, SyntaxNode | None]]:
    return {
        key.text: (Symbol("node", key.text, f"{key.span.source.name}:{key.span.start}"), child)
        for key, child in entries
        if key is not None and key.text
    }


def _longest(
    parts: Sequence[str], names: Mapping[str, tuple[Symbol, SyntaxNode | None]]
) -> tuple[tuple[Symbol, SyntaxNode | None] | None, int]:
    """The node that the most parts name, as a key may have dots, and their number."""
    for count in range(len(parts), 0, -1):
        known = names.get(".".join(parts[:count]))
        if known is not None:
            return known, count
    return None, 1


def _words_in(span: Span, names: Iterable[str]) -> list[Span]:
    """The places of names within a span."""
    wanted = set(names)
    return [
        Span(span.source, span.start + word.start(), span.start + word.end())
        for word in (_WORD.finditer(span.text) if wanted else ())
        if word.group() in wanted
    ]


@lru_cache(maxsize=4)
def occurrences(snapshot: Snapshot) -> tuple[Occurrence, ...]:
    """Return every occurrence of a name in the text and its base, for the file's own network and all its variants."""
    found: dict[Span, Occurrence] = {}
    read = (one for document in snapshot.documents for one in _Reader(document).read())
    # The overridden nodes come first: in the document of a variant, the key of an override seems to define the node.
    for one in (*_overridden_nodes(snapshot), *read, *_overrides(snapshot)):
        found.setdefault(one.span, one)
    return tuple(found.values())


def _overridden_nodes(snapshot: Snapshot) -> Iterator[Occurrence]:
    """The keys of variants that override a node at the top of `net`."""
    net = snapshot.network.document.net
    nodes = _members(net.entries) if isinstance(net, MapSyntax) else {}
    for layer in _variants(snapshot):
        changed = layer.get("net") if isinstance(layer, Map) else None
        for name, entry in changed.entries.items() if isinstance(changed, Map) else ():
            if name in nodes:
                yield Occurrence(entry.key.span, nodes[name][0])


def _overrides(snapshot: Snapshot) -> Iterator[Occurrence]:
    """The keys of variants, and of a spec that extends another, that set an argument: `n: [2, 2]`, `args: {n: ...}`."""
    args = snapshot.network.document.args
    for layer in (*_variants(snapshot), snapshot.tree):
        listed = layer.get("args") if isinstance(layer, Map) else None
        for one in (layer, listed):
            for name, entry in one.entries.items() if isinstance(one, Map) else ():
                if name in args and (one is not snapshot.tree or "extends" in snapshot.tree.entries):
                    yield Occurrence(entry.key.span, Symbol("argument", name))


def _variants(snapshot: Snapshot) -> list[Tree]:
    """The variants of the text: what each of them overrides."""
    variants = snapshot.tree.get("variants")
    return [entry.value for entry in variants.entries.values()] if isinstance(variants, Map) else []


def occurrence_at(snapshot: Snapshot, offset: int) -> Occurrence | None:
    """Return the shortest occurrence of a name at an offset."""
    here = [
        one
        for one in occurrences(snapshot)
        if one.span.source is snapshot.source and one.span.start <= offset <= one.span.end
    ]
    return min(here, key=lambda one: one.span.end - one.span.start, default=None)


def references(snapshot: Snapshot, symbol: Symbol) -> tuple[Occurrence, ...]:
    """Return every occurrence of a symbol, in the order of the text."""
    same = [one for one in occurrences(snapshot) if one.symbol == symbol]
    return tuple(sorted(same, key=lambda one: (one.span.source.name, one.span.start)))


def definitions(snapshot: Snapshot, offset: int) -> tuple[Span, ...]:
    """Return where the name at an offset is defined; of the name of a base after `extends:`, the start of that file."""
    base = snapshot.tree.get("extends")
    if isinstance(base, Scalar) and base.span.start <= offset <= base.span.end:
        try:
            here = snapshot.source.path.resolve().parent if snapshot.source.path is not None else Path()
            return (Span(read_source(find_spec(base.text, here)), 0, 0),)
        except ArchError:
            return ()
    here_at = occurrence_at(snapshot, offset)
    found = references(snapshot, here_at.symbol) if here_at is not None else ()
    return tuple(one.span for one in found if one.defines)


def rename(snapshot: Snapshot, offset: int, name: str) -> tuple[Span, ...]:
    """Return the spans to replace by a new name.

    Raises E0501 if there is nothing to rename, the name is not valid, or the network or its errors would change.
    """
    here = occurrence_at(snapshot, offset)
    if here is None or "." in here.symbol.name:
        raise error("E0501", "there is no name here that can be renamed", help="go to a name that this file defines")
    if not (is_key(name) if here.symbol.kind == "node" else is_argument(name)):
        raise error("E0501", f"`{name[:60]}` is not a valid name for this {here.symbol.kind}")
    spans = [one.span for one in references(snapshot, here.symbol)]
    if any(span.source is not snapshot.source for span in spans):
        raise error("E0501", f"`{here.symbol.name}` is defined in the spec that this one extends: rename it there")
    text = edited(snapshot.text, [Edit(span, name) for span in spans])
    if _meaning(snapshot.text, snapshot) != _meaning(text, snapshot):
        wrong = [d.span for d in snapshot.diagnostics if d.severity == "error" and d.span is not None]
        mine = next((span for span in wrong if span.source is snapshot.source), None)
        if mine is not None:
            message = f"it is not certain what else means `{here.symbol.name}`, as line {mine.line} has an error"
            raise error("E0501", message, help="correct that line first")
        raise error("E0501", f"the network would change if `{here.symbol.name}` was named `{name}`")
    return tuple(spans)


def _meaning(text: str, snapshot: Snapshot) -> tuple[object, ...]:
    """What a rename must not change: the nodes of the network without their names, and the codes of all errors."""
    source = Source(snapshot.source.name, text, snapshot.source.path)
    *_, final = snapshots(source)
    nodes = [(node.op.name, node.op.explicit(), node.inputs, node.shape) for node in final.network.nodes]
    return final.report.networks, sorted(d.code for d in final.diagnostics), nodes
