"""How large a graph will be, before any of it is made: repeats times bodies, block calls looked up."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.diagnostics import ArchError, error
from archdsl.language import expressions
from archdsl.language.document import Block, Document
from archdsl.language.expressions import Env, Expr, Value, truth
from archdsl.language.items import CallItem, Item, OpItem
from archdsl.ops import KINDS

MAX_NODES = 250_000
MAX_STEPS = 500_000
MAX_DEPTH = 60
LOST: Value = "\0"
"""Stands for an argument's value that is not known."""
COPY_NAMES = frozenset(("i", "first", "last"))


class Unknown(Exception):
    """A value that depends on shapes (`in`), which nothing here may need."""


def unknown() -> Value:
    """The value of `in` while counting: nobody knows."""
    raise Unknown


@dataclass
class Bound:
    """Counts the nodes of a document; `values` are its arguments."""

    document: Document
    file_env: Env
    steps: int = 0
    depth: int = 0
    known: dict[tuple[str, tuple[object, ...]], int] = field(default_factory=dict)
    copies: dict[int, bool] = field(default_factory=dict)

    def check(self) -> int:
        """An upper bound on the number of nodes. Raises E0314 where there are too many, E0313 for a count that
        depends on shapes, E0211 for a block that uses itself."""
        total = self.size(self.document.net, self.file_env)
        for head in self.document.aux:
            total += self.size(head.body, self.file_env)
        return total

    def size(self, item: Item, env: Env) -> int:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise error("E0314", f"expanding this takes more than {MAX_STEPS:,} steps", item.span)
        if item.repeat is None:
            return self._copy(item, env)
        count = self._count(item.repeat, env)
        if not self._uses_copy(item):
            total = count * (self._copy(item, env) + 1)
        else:
            total = 0
            for k in range(min(count, MAX_NODES)):
                total += self._copy(item, Env({"i": k, "first": k == 0, "last": k == count - 1}, env)) + 1
                if total > MAX_NODES:
                    break
        self._need_room(max(total, count), item)
        return total

    def _need_room(self, total: int, item: Item) -> None:
        if total > MAX_NODES:
            shown = f"about {total:,}" if total < 10**12 else f"more than {10**12:,}"
            raise error("E0314", f"this would become {shown} nodes; {MAX_NODES:,} is the most", item.span)

    def _count(self, expr: Expr, env: Env) -> int:
        try:
            return max(expressions.as_whole(expr.evaluate(env), expr.span, "the count of a repeat"), 0)
        except Unknown:
            raise error("E0313", "the count of a repeat may not depend on `in`", expr.span,
                        help="the size of the graph must be known before shapes are; use an argument") from None  # fmt: skip

    def _copy(self, item: Item, env: Env) -> int:
        if item.when is not None:
            try:
                if not truth(item.when.evaluate(env), item.when.span):
                    return 0
            except Unknown:
                pass
        if isinstance(item, OpItem):
            return 4
        total = 2 + sum(self.size(child, env) for child in item.nested())
        if isinstance(item, CallItem):
            total += self._call(item, env)
        self._need_room(total, item)
        return total

    def _call(self, item: CallItem, env: Env) -> int:
        name = item.call.name
        if name not in self.document.blocks and name not in KINDS:
            try:
                value = env(name)
            except (KeyError, Unknown):
                return 4  # the walk tells that there is no such block
            name = value if isinstance(value, str) else ""
        block = self.document.blocks.get(name)
        if block is None:
            return 4
        values, lost = self._bind(item, block, env)
        key = (name, tuple(sorted((k, repr(v)) for k, v in values.items())))
        if key not in self.known:
            if self.depth > MAX_DEPTH:
                return 0  # the walk tells of recursion, and of too deep a nesting
            self.depth += 1
            self.known[key] = self.size(block.body, Env(values, self.file_env, dict.fromkeys(lost, unknown)))
            self.depth -= 1
        return self.known[key]

    def _bind(self, item: CallItem, block: Block, env: Env) -> tuple[dict[str, Value], list[str]]:
        """The arguments that are known, and the names of those that are not; what is wrong the walk will tell."""
        positional: list[Value] = []
        values: dict[str, Value] = {}
        for arg in item.call.args:
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
        except (Unknown, ArchError):
            return LOST

    def _uses_copy(self, item: Item) -> bool:
        """Whether the item's own text, blocks that it calls not included, names the copy."""
        cached = self.copies.get(id(item))
        if cached is None:
            own = any(e.names & COPY_NAMES for e in item.expressions())
            cached = own or any(self._uses_copy(child) for child in item.nested())
            self.copies[id(item)] = cached
        return cached
