"""How large a graph will be, before any of it is made: repeats times bodies, block calls looked up.

Only what makes the graph too large, too deep or of unknown size is told here; other mistakes the walk will meet.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field

from archdsl.diagnostics import ArchError, Diagnostic, Enough, Report, error
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
"""Stands for an argument's value that is not known."""
LONG = 64
LIST_ITEMS_PER_NODE = 500
"""Items of a list that a function looks at in the time that a node takes."""
_LOOKS_AT_ALL = re.compile(r"\b(?:sum|min|max)\b|[=!]=")


class UnknownValue(Exception):
    """A value that depends on shapes (`in`), which nothing here may need."""


def unknown() -> Value:
    """The value of `in` while counting: nobody knows."""
    raise UnknownValue


def _there(part: NormOrAct | None) -> bool:
    """Whether there may be a norm or an activation: none is where none is written, or `linear` or `plain`."""
    if part is None:
        return False
    name = part.name.expr
    return name is None or not name.constant or name.run(_no_name) is not None


def _values_in(written: FieldValue) -> int:
    return 1 + sum(map(_values_in, written.items))


def _items_in(value: Value) -> int:
    """How many values a list holds, those of its lists included."""
    return sum(1 + _items_in(v) for v in value) if isinstance(value, tuple) else 0


def _no_name(name: str) -> Value:
    raise KeyError(name)


@dataclass
class Bound:
    """Counts the nodes of a document; `file_env` holds its arguments."""

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
    """Long lists whose ids are in keys of `known`: an id is only unique while its object lives."""

    def check(self) -> int:
        """An upper bound on the number of nodes.

        Raises E0314 where there are too many, E0316 for too deep a nesting, E0313 for counts that depend on shapes.
        """
        self.maker = OpMaker(self.document.defaults)
        values = self.file_env.values.values()
        self.longest = max((_items_in(v) for v in values), default=0)
        total = 0
        with suppress(Enough):
            for syntax in (self.document.net, *(head.body for head in self.document.aux)):
                total += self.size(syntax, self.file_env)
                self._need_room(total, syntax)
        self.report.raise_errors()
        return total

    def _work(self, syntax: SyntaxNode) -> int:
        """What a copy of a node costs beyond its nodes: `sum(rows)` looks at every row, an `add` reads each
        reference."""
        cost = self.works.get(id(syntax))
        if cost is None:
            written = [*syntax.expressions()]
            text = " ".join(e.text if isinstance(e, Expr) else e.span.text[:5000] for e in written)
            looked_at = len(_LOOKS_AT_ALL.findall(text)) * self.longest + sum(
                _values_in(e) for e in written if isinstance(e, FieldValue)
            )
            cost = (looked_at + 10 * len(syntax.sources or ())) // LIST_ITEMS_PER_NODE
            self.works[id(syntax)] = cost
        return cost

    def size(self, syntax: SyntaxNode, env: Env) -> int:
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
        total = max(total, count)  # a copy of nothing takes a step as well
        self._need_room(total, syntax)
        return total

    def _need_room(self, total: int, syntax: SyntaxNode) -> None:
        if total > MAX_NODES:
            shown = f"up to {total:,}" if total < 10**12 else f"more than {10**12:,}"
            raise error(
                "E0314",
                f"this would become {shown} nodes; {MAX_NODES:,} is the most",
                syntax.span,
                help="a network is unrolled before it is checked; check the counts of its repeats",
            )

    def _count(self, expr: Expr, env: Env) -> int:
        try:
            return max(expressions.as_whole(expr.evaluate(env), expr.span, "the count of a repeat"), 0)
        except UnknownValue:
            self.report.add(
                Diagnostic(
                    "E0313",
                    "the count of a repeat may not depend on `in`",
                    expr.span,
                    help="the size of the graph must be known before shapes are; use an argument",
                )
            )
            return 0
        except ArchError:
            return 0

    def _copy(self, syntax: SyntaxNode, env: Env) -> int:
        if syntax.when is not None:
            try:
                if not truth(syntax.when.evaluate(env), syntax.when.span):
                    return 1  # to see that it is left out takes a step
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
            total += 3 + (syntax.scale is not None)  # the addition, and a convolution with a norm on the shortcut
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
        return 1 + _there(syntax.norm or under.norm) + _there(syntax.act or under.act) + (syntax.op in (Fc, Again))

    def _call(self, syntax: CallSyntax, env: Env) -> int:
        name = syntax.call.name
        if name not in self.document.blocks and name not in OPS_BY_NAME:
            value = LOST
            try:
                value = env(name)
            except (KeyError, UnknownValue, ArchError):
                return 4  # the walk tells that there is no such block
            name = value if isinstance(value, str) else ""
        block = self.document.blocks.get(name)
        if block is None or name in self.active:  # the walk tells of a block that uses itself
            return 4
        values, lost = self._bind(syntax, block, env)
        key = (name, tuple((k, self._mark(v)) for k, v in sorted(values.items())))
        if key not in self.known:
            self.active.add(name)
            self.known[key] = self.size(block.body, Env(values, self.file_env, dict.fromkeys(lost, unknown)))
            self.active.remove(name)
        return self.known[key]

    def _mark(self, value: Value) -> object:
        """A key for a value, found in constant time: a long list is known by its identity."""
        if not isinstance(value, tuple):
            return type(value), value
        if len(value) > LONG or any(isinstance(v, tuple) for v in value):
            self.keep.append(value)
            return id(value)
        return tuple((type(v), v) for v in value)

    def _bind(self, syntax: CallSyntax, block: Block, env: Env) -> tuple[dict[str, Value], list[str]]:
        """The arguments that are known, and the names of those that are not; what is wrong the walk will tell."""
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
        """Whether the node's own text, blocks that it calls not included, names the copy."""
        cached = self.copies.get(id(syntax))
        if cached is None:
            own = any(e.names & COPY_NAMES for e in syntax.expressions())
            cached = own or any(self._uses_copy(child) for child in syntax.nested())
            self.copies[id(syntax)] = cached
        return cached
