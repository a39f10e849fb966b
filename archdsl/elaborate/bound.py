"""Counts the nodes of a graph before any node is made: repeats times bodies, with block calls cached.

Only a graph that is too large, too deep or of unknown size is an error here; the walk reports all other errors.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field

from archdsl.diagnostics import ArchError, Diagnostic, Report, TooManyErrors, error
from archdsl.elaborate.limits import MAX_DEPTH, MAX_NODES, MAX_STEPS, too_deep
from archdsl.elaborate.make import OpMaker
from archdsl.elaborate.repeat import COPY_NAMES, copy_envs
from archdsl.language import expressions
from archdsl.language.document import Block, Document
from archdsl.language.expressions import Env, Expr, Value, truth
from archdsl.language.syntax import (
    BranchesSyntax,
    CallSyntax,
    DenseSyntax,
    FieldValue,
    NormOrAct,
    OpSyntax,
    ResidualSyntax,
    SyntaxNode,
)
from archdsl.ops import OPS_BY_NAME, Again, Fc, Split

LOST: Value = "\0"
"""The value of an argument whose value is not known yet."""
LONG = 64
LIST_ITEMS_PER_NODE = 500
"""List items that a function reads in the time that one node takes."""
_LOOKS_AT_ALL = re.compile(r"\b(?:sum|min|max)\b|[=!]=")


class UnknownValue(Exception):
    """A value depends on shapes (`in`, `axes`), which are not known while counting."""


def unknown() -> Value:
    """The value of `in` and `axes`, which are not known while counting."""
    raise UnknownValue


def _may_exist(part: NormOrAct | None) -> bool:
    """Whether there may be a norm or an activation: not if none is written, nor with `linear` or `plain`."""
    if part is None:
        return False
    name = part.name.expr
    return name is None or not name.constant or name.run(_no_name) is not None


def _values_in(written: FieldValue) -> int:
    return 1 + sum(map(_values_in, written.items))


def _items_in(value: Value) -> int:
    """The number of values in a list, including nested lists."""
    return sum(1 + _items_in(v) for v in value) if isinstance(value, tuple) else 0


def _no_name(name: str) -> Value:
    raise KeyError(name)


@dataclass
class Bound:
    """Counts the nodes of a document whose arguments are in `file_env`."""

    document: Document
    file_env: Env
    report: Report = field(default_factory=Report)
    steps: int = 0
    depth: int = 0
    active: set[str] = field(default_factory=set)
    known: dict[tuple[str, tuple[object, ...]], int] = field(default_factory=dict)
    copies: dict[int, bool] = field(default_factory=dict)
    works: dict[int, int] = field(default_factory=dict)
    keep: list[object] = field(default_factory=list)
    """Long lists whose ids are in the keys of `known`: an id is only unique while its object is alive."""

    def check(self) -> int:
        """Return an upper limit of the number of nodes.

        Raises E0314 for too many nodes, E0316 for nesting that is too deep, E0313 for a count that depends on shapes.
        """
        self.maker = OpMaker(self.document.defaults, self.document)
        values = self.file_env.values.values()
        self.longest = max((_items_in(v) for v in values), default=0)
        total = 0
        with suppress(TooManyErrors):
            for syntax in (self.document.net, *(head.body for head in self.document.aux)):
                total += self.size(syntax, self.file_env)
                self._need_room(total, syntax)
        self.report.raise_errors()
        return total

    def _work(self, syntax: SyntaxNode) -> int:
        """The cost of a copy beyond its nodes, in nodes: `sum(rows)` reads every row, an `add` every reference."""
        cost = self.works.get(id(syntax))
        if cost is None:
            written = [*syntax.expressions()]
            text = " ".join(e.text if isinstance(e, Expr) else e.span.text[:5000] for e in written)
            items_read = len(_LOOKS_AT_ALL.findall(text)) * self.longest + sum(
                _values_in(e) for e in written if isinstance(e, FieldValue)
            )
            cost = (items_read + 10 * len(syntax.sources or ())) // LIST_ITEMS_PER_NODE
            self.works[id(syntax)] = cost
        return cost

    def size(self, syntax: SyntaxNode, env: Env) -> int:
        """Return the number of nodes of a syntax node with all its copies. Raises E0314, E0316."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise error("E0314", f"expanding this takes more than {MAX_STEPS:,} steps", syntax.span)
        if syntax.repeat is None:
            return self._copy(syntax, env)
        count = self._count(syntax.repeat, env)
        each = 1 if isinstance(syntax, DenseSyntax) else 0
        self._need_room(count, syntax)
        if not self._uses_copy(syntax):
            total = count * (self._copy(syntax, env) + each) if count else 0
        else:
            total = 0
            for inner in copy_envs(count, env):
                total += self._copy(syntax, inner) + each
                if total > MAX_NODES:
                    break
        total = max(total, count)  # an empty copy takes a step, too
        self._need_room(total, syntax)
        return total

    def _need_room(self, total: int, syntax: SyntaxNode) -> None:
        if total > MAX_NODES:
            shown = f"up to {total:,}" if total < 10**12 else f"more than {10**12:,}"
            raise error(
                "E0314",
                f"this expands to {shown} nodes; the limit is {MAX_NODES:,}",
                syntax.span,
                help="check the repeat counts: repeats are expanded before the network is checked",
            )

    def _count(self, expr: Expr, env: Env) -> int:
        try:
            return max(expressions.as_whole(expr.evaluate(env), expr.span, "the repeat count"), 0)
        except UnknownValue:
            self.report.add(
                Diagnostic(
                    "E0313",
                    "the repeat count cannot depend on `in` or `axes`",
                    expr.span,
                    help="the number of nodes must be known before shapes are inferred; use an argument",
                )
            )
            return 0
        except ArchError:
            return 0

    def _copy(self, syntax: SyntaxNode, env: Env) -> int:
        if syntax.when is not None:
            try:
                if not truth(syntax.when.evaluate(env), syntax.when.span):
                    return 1  # checking the condition takes a step
            except (UnknownValue, ArchError):
                pass
        if isinstance(syntax, OpSyntax):
            return self._op(syntax, env) + self._work(syntax)
        if self.depth > MAX_DEPTH:
            raise too_deep(syntax)
        self.depth += 1
        total = sum(self.size(child, env) for child in syntax.nested()) + self._work(syntax)
        if isinstance(syntax, CallSyntax):
            total += self._call(syntax, env)
        elif isinstance(syntax, ResidualSyntax):
            total += 3 + (syntax.scale is not None)  # the addition, and a convolution and a norm on the shortcut
        elif isinstance(syntax, BranchesSyntax):
            total += 1 + (len(syntax.branches) if syntax.split is not None else 0)
        total = max(total, 1)
        self.depth -= 1
        self._need_room(total, syntax)
        return total

    def _op(self, syntax: OpSyntax, env: Env) -> int:
        if syntax.op is Split:
            parts = syntax.fields.get("parts")
            value = self._value(parts.expr, env) if parts is not None and parts.expr is not None else LOST
            return value if type(value) is int and value > 0 else 1
        under = self.maker.under(syntax.op)
        return (
            1 + _may_exist(syntax.norm or under.norm) + _may_exist(syntax.act or under.act) + (syntax.op in (Fc, Again))
        )

    def _call(self, syntax: CallSyntax, env: Env) -> int:
        name = syntax.call.name
        if name not in self.document.blocks and name not in OPS_BY_NAME:
            value = LOST
            try:
                value = env(name)
            except (KeyError, UnknownValue, ArchError):
                return 4  # the walk reports the unknown block
            name = value if isinstance(value, str) else ""
        block = self.document.blocks.get(name)
        if block is None or name in self.active:  # the walk reports a block that uses itself
            return 4
        values, lost = self._bind(syntax, block, env)
        key = (name, tuple((k, self._mark(v)) for k, v in sorted(values.items())))
        if key not in self.known:
            self.active.add(name)
            self.known[key] = self.size(block.body, Env(values, self.file_env, dict.fromkeys(lost, unknown)))
            self.active.remove(name)
        return self.known[key]

    def _mark(self, value: Value) -> object:
        """A hashable key for a value, in constant time: a long list is identified by its id."""
        if not isinstance(value, tuple):
            return type(value), value
        if len(value) > LONG or any(isinstance(v, tuple) for v in value):
            self.keep.append(value)
            return id(value)
        return tuple((type(v), v) for v in value)

    def _bind(self, syntax: CallSyntax, block: Block, env: Env) -> tuple[dict[str, Value], list[str]]:
        """The known arguments, and the names of the unknown ones. The walk reports errors."""
        positional: list[Value] = []
        values: dict[str, Value] = {}
        for arg in syntax.call.args:
            value = self._value(arg.value, env)
            if arg.star:
                positional += value if isinstance(value, tuple) else ()
            elif arg.name is None:
                positional.append(value)
            else:
                values[arg.name] = value
        values |= dict(zip((p.name for p in block.params), positional, strict=False))
        for p in block.params:
            if p.name not in values:
                lost = [name for name, value in values.items() if value is LOST]
                known = {name: value for name, value in values.items() if value is not LOST}
                inner = Env(known, self.file_env, dict.fromkeys(lost, unknown))
                values[p.name] = self._value(p.default, inner) if p.default is not None else LOST
        known = {name: value for name, value in values.items() if value is not LOST}
        return known, [name for name in values if name not in known]

    def _value(self, expr: Expr, env: Env) -> Value:
        try:
            return expr.evaluate(env)
        except (UnknownValue, ArchError):
            return LOST

    def _uses_copy(self, syntax: SyntaxNode) -> bool:
        """Whether the text of the node, without the blocks that it calls, uses `i`, `first` or `last`."""
        cached = self.copies.get(id(syntax))
        if cached is None:
            own = any(e.names & COPY_NAMES for e in syntax.expressions())
            cached = own or any(self._uses_copy(child) for child in syntax.nested())
            self.copies[id(syntax)] = cached
        return cached
