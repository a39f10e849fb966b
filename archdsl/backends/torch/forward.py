"""Turn a block's steps into the statements of a readable `forward`: nested calls, and names for values.

The operations and their order stay those of the program. Imports no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from archdsl.backends.torch.class_arguments import Column, Use
from archdsl.backends.torch.layout import Doc, Infix, Joined, SourceGroup, flat, tuple_of
from archdsl.backends.torch.lower import SIGNATURES
from archdsl.backends.torch.naming import identifier, is_attribute, quoted, unique
from archdsl.backends.torch.program import ModuleBlock
from archdsl.backends.torch.steps import (
    PRECEDENCE,
    Argument,
    Call,
    Code,
    Expr,
    Module,
    Parameter,
    Run,
    Value,
    Weight,
    replace,
    values,
)
from archdsl.ops.base import Look

Text = Callable[[Use, Column], str]
"""Writes a constant, from its value in each block that shares the class."""
MAX_STATEMENT = 72
"""Columns up to which calls are nested."""
MAX_NESTED = 3
SOON = 4
"""A value that is read again within so many statements may have the trunk's name."""


@dataclass(slots=True)
class Statement:
    """`outputs = expr`, with constants as `Code`."""

    outputs: tuple[int, ...]
    expr: Expr
    training: bool


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A statement with names: the targets ("" for the value to return), and the expression assigned to them."""

    targets: tuple[str, ...]
    doc: Doc
    training: bool


def statements(blocks: Sequence[ModuleBlock], text: Text) -> list[Statement]:
    """Return the statements that the blocks share, one per step."""
    use = Use("value", "value")
    return [
        Statement(step.outputs, _written([block.steps[n].expr for block in blocks], text, use), step.training)
        for n, step in enumerate(blocks[0].steps)
    ]


_FIELDS: Mapping[str, tuple[str, ...]] = {
    "slice": ("", "start", "end"),
    "F.pad": ("", "pads"),
    "F.channel_shuffle": ("", "groups"),
    "*": ("factor", "factor"),
    "+": ("offset", "offset"),
}
"""Names for the positional constants of functions."""


def _written(exprs: Sequence[Expr], text: Text, use: Use) -> Expr:
    """Return the expression of the first block, with constants in a form that is correct for all blocks."""
    first = exprs[0]
    if isinstance(first, (Value, Weight, Argument)):
        return first
    if isinstance(first, Run):
        return first
    if isinstance(first, Call):
        calls = [expr for expr in exprs if isinstance(expr, Call)]
        names = _FIELDS.get(first.target, ())
        args = []
        for n in range(len(first.args)):
            name = names[n] if n < len(names) else "value"
            args.append(_written([call.args[n] for call in calls], text, Use(name, name)))
        kwargs = []
        defaults = SIGNATURES[first.target].defaults if first.target in SIGNATURES else {}
        for n, (name, _) in enumerate(first.kwargs):
            column = [call.kwargs[n][1] for call in calls]
            if not (name in defaults and all(item == defaults[name] for item in column)):
                kwargs.append((name, _written(column, text, Use(name, name))))
        return Call(first.target, tuple(args), tuple(kwargs))
    if isinstance(first, tuple) and values(first):
        tuples = [expr for expr in exprs if isinstance(expr, tuple)]
        return tuple(_written([item[n] for item in tuples], text, use) for n in range(len(first)))
    return Code(text(use, tuple(exprs)))


# --- nested calls -----------------------------------------------------------------------------------------


class Nester:
    """Nests a call in the next one if that is its only reader and the result is readable."""

    def __init__(self, block: ModuleBlock, roles: Mapping[str, str]) -> None:
        self.roles = roles
        self.uses: Counter[int] = Counter()
        self.outputs = block.outputs

    def nest(self, items: Sequence[Statement]) -> list[Statement]:
        self.uses = Counter(self.outputs)
        for item in items:
            self.uses.update(values(item.expr))
        done: list[Statement] = []
        for item in items:
            current = Statement(item.outputs, item.expr, item.training)
            while done and self._fits(done[-1], current):
                current.expr = _insert(current.expr, done.pop())
            done.append(current)
        return done

    def _fits(self, before: Statement, after: Statement) -> bool:
        if len(before.outputs) != 1 or before.training != after.training or self.uses[before.outputs[0]] != 1:
            return False
        if before.outputs[0] not in values(after.expr) or not self._reads_well(before, after):
            return False
        merged = _insert(after.expr, before)
        width = len(flat(doc(merged, lambda value: "x")))
        return width <= MAX_STATEMENT and _nested(merged) <= MAX_NESTED

    def _reads_well(self, before: Statement, after: Statement) -> bool:
        value = before.outputs[0]
        inner, outer = before.expr, _holder(after.expr, Value(value))
        if isinstance(outer, Call) and outer.target in PRECEDENCE and len(values(outer)) > 1:
            # `out + self.downsample(x)`: of several calls, what is evaluated last stays last.
            plain = all(isinstance(arg, (Value, Code)) for arg in outer.args)
            short = isinstance(inner, Run) and (_nested(inner) == 1 or self.roles.get(inner.child) == "drop")
            return short and (plain or values(outer)[-1] == value)
        if isinstance(outer, Call):
            return len(values(outer)) == 1 and outer.target not in ("torch.flatten", "torch.chunk", "slice")
        if not isinstance(outer, Run) or outer.args != (Value(value),):
            return False
        role = self.roles.get(outer.child, "")
        if role == "act":
            return True
        if role == "drop":
            return _nested(inner) == 1
        if role == "norm":
            return isinstance(inner, (Run, Call)) and self.roles.get(_innermost(inner), "") == "weighted"
        if isinstance(inner, Call) and inner.target in ("torch.flatten", "torch.cat"):
            return _nested(inner) == 1
        # The pre-activation order: `self.conv1(self.relu(self.norm1(x)))`.
        return role == "weighted" and _nested(inner) == 2 and self.roles.get(_innermost(inner), "") == "norm"


_READ_AS: Mapping[Look, str] = {"conv": "weighted", "fc": "weighted", "norm": "norm", "act": "act"}


def module_role(module: Module) -> str:
    """Return the role of a module for a reader: `weighted`, `norm`, `act`, `drop`, or empty for others."""
    return "drop" if module.target == "DropPath" else _READ_AS.get(module.look, "")


def _holder(expr: Expr, value: Value) -> Expr:
    """Return the call that reads the value directly."""
    while isinstance(expr, (Call, Run)) and value not in expr.args:
        named = () if isinstance(expr, Run) else (arg for _, arg in expr.kwargs)
        expr = next(arg for arg in (*expr.args, *named) if value.id in values(arg))
    return expr


def _insert(expr: Expr, before: Statement) -> Expr:
    return replace(expr, lambda leaf: before.expr if leaf == Value(before.outputs[0]) else leaf)


def _nested(expr: Expr) -> int:
    if isinstance(expr, Call):
        deepest = max(map(_nested, expr.args), default=0)
        return deepest + (0 if expr.target in PRECEDENCE else 1)
    if isinstance(expr, Run):
        return 1 + max(map(_nested, expr.args), default=0)
    return max(map(_nested, expr), default=0) if isinstance(expr, tuple) else 0


def _innermost(expr: Expr) -> str:
    """Return the child that runs first in a chain of single calls."""
    child = ""
    while isinstance(expr, (Run, Call)):
        child = expr.child if isinstance(expr, Run) else child
        inner = [arg for arg in expr.args if isinstance(arg, (Run, Call, Value))]
        if len(inner) != 1:
            return child
        expr = inner[0]
    return child


# --- expressions as text ----------------------------------------------------------------------------------


def module_lists(block: ModuleBlock, numbered: bool) -> frozenset[str]:
    """Return the dotted names of the block's containers that are `ModuleList`s; "" is the class itself (`numbered`).

    A container is one if its modules are 0, 1, 2 and so on, in this order; otherwise it is a `ModuleDict`.
    """
    inside: dict[str, dict[str, None]] = {}
    for name, child in block.children.items():
        parts = name.split(".")
        for n in range(1, len(parts) - isinstance(child, Parameter)):
            inside.setdefault(".".join(parts[:n]), {})[parts[n]] = None
    return frozenset(
        [*([""] if numbered else []), *(holder for holder, names in inside.items() if counts_up(list(names)))]
    )


def counts_up(names: Sequence[str]) -> bool:
    """Return whether the names are the indices of a list: 0, 1, 2 and so on."""
    return bool(names) and list(names) == [str(n) for n in range(len(names))]


def attribute(name: str, lists: Set[str] = frozenset()) -> str:
    """Return a child as forward reads it; `lists` are the containers that are `ModuleList`s."""
    if "" in lists and name.isdigit():
        return f"self[{int(name)}]"
    first, *further = name.split(".")
    text, path = _part("self", first), first
    for part in further:  # of a dotted name: containers, and in them names or numbers
        index = part if path in lists else quoted(part)
        text, path = f"{text}[{index}]" if part.isdigit() else _part(text, part), f"{path}.{part}"
    return text


def _part(holder: str, name: str) -> str:
    return f"{holder}.{name}" if is_attribute(name) else f"getattr({holder}, {quoted(name)})"


def _reached(name: str, inside: Sequence[str], lists: Set[str]) -> str:
    """Return a child, or a module inside it, as forward reads it."""
    text = attribute(name, lists)
    for part in inside:
        text = _part(text, part)
    return text


def _parameter(weight: Weight, lists: Set[str]) -> str:
    """Return a parameter as forward reads it: it is an attribute of its module, also in a `ModuleList`."""
    if weight.inside:
        return _reached(weight.name, weight.inside, lists)
    holder, _, name = weight.name.rpartition(".")
    return _part(attribute(holder, lists) if holder else "self", name)


def doc(expr: Expr, name: Callable[[int], str], lists: Set[str] = frozenset()) -> Doc:
    """Return the expression as text; `name` names its values."""

    def write(item: Expr) -> Doc:
        return doc(item, name, lists)

    if isinstance(expr, Code):
        return expr.text
    if isinstance(expr, Value):
        return name(expr.id)
    if isinstance(expr, Weight):
        return _parameter(expr, lists)
    if isinstance(expr, Run):
        return SourceGroup(f"{_reached(expr.child, expr.inside, lists)}(", tuple(map(write, expr.args)))
    if isinstance(expr, tuple):
        return tuple_of(tuple(map(write, expr)))
    assert isinstance(expr, Call)
    if expr.target in PRECEDENCE:
        return _infix(expr, write)
    if expr.target == "slice":
        x, start, end = map(flat, map(write, expr.args))
        return f"{x}[:, {_cut('' if start == '0' else start, '' if end == 'None' else end)}]"
    if expr.target == "sizes":
        return f"{flat(write(expr.args[0]))}.shape[2:]"
    if expr.target == "size":
        x, axis = map(flat, map(write, expr.args))
        return f"{x}.shape[{axis}]"
    named = tuple(Joined((f"{key}=", write(value))) for key, value in expr.kwargs)
    return SourceGroup(f"{expr.target}(", (*map(write, expr.args), *named))


def _cut(start: str, end: str) -> str:
    """Return `2:4`, or with spaces around more than a number: `self.start : self.end`."""
    if (start + end).isdigit():
        return f"{start}:{end}"
    return f"{start} : {end}".strip()


def _infix(expr: Call, write: Callable[[Expr], Doc]) -> Doc:
    items: list[Doc] = []
    for n, arg in enumerate(expr.args):
        inner = arg.target if isinstance(arg, Call) else ""
        # Operators of one precedence are evaluated from left to right; another order would round differently.
        apart = inner in PRECEDENCE and PRECEDENCE[inner] < PRECEDENCE[expr.target] + (n > 0)
        items.append(Joined(("(", write(arg), ")")) if apart else write(arg))
    return Infix(expr.target, tuple(items))


# --- names ------------------------------------------------------------------------------------------------


class Namer:
    """Chooses names for the values of a forward: `x` for the trunk, `out` for a branch beside it, else the node's."""

    def __init__(
        self, block: ModuleBlock, items: Sequence[Statement], names: Mapping[int, str], taken: Set[str], all_named: bool
    ) -> None:
        self.items, self.names, self.taken = items, names, taken
        self.reads = [values(item.expr) for item in items]
        self.readers: dict[int, list[int]] = {}
        for place, sources in enumerate(self.reads):
            for value in sources:
                self.readers.setdefault(value, []).append(place)
        for value in block.outputs:
            self.readers.setdefault(value, []).append(len(items))
        self.chains: dict[int, Chain] = {}
        self.chosen: dict[int, str] = {}
        self.live: dict[str, int] = {}
        """The names that a later statement reads, with the last that does."""
        for value, name in zip(
            block.inputs, input_names([names[i] for i in block.inputs], taken, all_named), strict=True
        ):
            self._name(value, name)

    def _name(self, value: int, name: str) -> None:
        self.chosen[value] = name
        self.live[name] = max(self.live.get(name, -1), *self.readers.get(value, [-1]))

    def lines(self, result: int | None, lists: Set[str] = frozenset()) -> list[SourceLine]:
        """Return the statements with names. `result` is the value that the last statement may return directly."""
        lines = []
        for place, item in enumerate(self.items):
            written = doc(item.expr, self.chosen.__getitem__, lists)
            if place == len(self.items) - 1 and item.outputs == (result,):
                lines.append(SourceLine(("",), written, item.training))
                break
            for value in item.outputs:
                self._name(value, self._choose(value, place, item))
            lines.append(SourceLine(tuple(self.chosen[value] for value in item.outputs), written, item.training))
        return lines

    def _live(self, place: int) -> Set[str]:
        """Return the names that are still read after a statement, which comes after those asked for before."""
        self.live = {name: last for name, last in self.live.items() if last > place}
        return self.live.keys()

    def _choose(self, value: int, place: int, item: Statement) -> str:
        live = self._live(place)
        own = unique(_word(self._thread(value, item)), {*live, *self.taken}, "_")
        readers = self.readers.get(value, [])
        if item.training or len(item.outputs) > 1 or any(self._in_training(reader) for reader in readers):
            return own
        if len(readers) != 1:
            # The trunk keeps its name if no other value is live: a residual addition soon reads it again.
            return "x" if not live and max(readers, default=place) <= place + SOON else own
        before = set(values(item.expr))
        line = next(iter(before)) if len(before) == 1 else None
        if line is not None and len(self.readers[line]) == 1 and self.chosen[line] not in {*live, "x"}:
            return self.chosen[line]
        if self._joins_named(value) or (self._branches_off(before) and not self._goes_on(readers[0])):
            return own
        if "x" not in live:
            return "x"
        return "out" if "out" not in live and self._continues(value) else own

    def _branches_off(self, sources: Set[int]) -> bool:
        """Whether each of the sources has another reader."""
        return all(len(self.readers[source]) > 1 for source in sources)

    def _goes_on(self, place: int) -> bool:
        """Whether a statement reads only one value."""
        return place < len(self.items) and len(set(values(self.items[place].expr))) == 1

    def _in_training(self, place: int) -> bool:
        return place < len(self.items) and self.items[place].training

    def _continues(self, value: int) -> bool:
        """Whether the value's only reader reads no other value."""
        (reader,) = self.readers[value]
        if reader >= len(self.items) or len(values(self.items[reader].expr)) != 1:
            return False
        return all(len(self.readers.get(output, [])) == 1 for output in self.items[reader].outputs)

    def _joins_named(self, value: int) -> bool:
        """Whether the value leads to a merge of several equal branches."""
        place = self._chain(value).end
        if place >= len(self.items):
            return False
        return len(set(self.reads[place])) > (1 if _joins(self.items[place].expr) else 2)

    def _chain(self, value: int) -> Chain:
        """Return the chain of statements that starts with this value, each the only reader of the one before."""
        path = []
        while value not in self.chains:
            (place, *others) = self.readers.get(value, [len(self.items)])
            place = len(self.items) if others else place
            path.append(value)
            if place == len(self.items) or len(set(self.reads[place])) > 1 or len(self.items[place].outputs) != 1:
                name = self.names[value]
                self.chains[value] = Chain(place, name, name, name)
                break
            value = self.items[place].outputs[0]
        chain = self.chains[value]
        for source in reversed(path):
            name = self.names[source]
            chain = Chain(chain.end, min(name, chain.low), max(name, chain.high), chain.last)
            self.chains[source] = chain
        return chain

    def _thread(self, value: int, item: Statement) -> str:
        """Return a name for the chain of statements that starts with this value: the common prefix of their names."""
        if isinstance(item.expr, Call) and item.expr.target in ("torch.cat", *PRECEDENCE):
            # A merge of branches is named after their common prefix.
            shared = _shared([self.chosen[source] for source in values(item.expr)])
            return shared if len(shared) > 3 else self.names[value]
        chain = self._chain(value)
        shared = _shared((chain.low, chain.high))
        return shared if len(shared) > 3 else chain.last


class Chain(NamedTuple):
    """A chain of statements with one reader each: the statement at which it joins another value or ends, the first and
    the last name of its values in alphabetical order, and the name of its last value."""

    end: int
    low: str
    high: str
    last: str


def _joins(expr: Expr) -> bool:
    """Whether the expression contains a concat."""
    if isinstance(expr, Call) and expr.target == "torch.cat":
        return True
    return isinstance(expr, (Call, Run)) and any(map(_joins, expr.args))


def _shared(names: Sequence[str]) -> str:
    """Return the common prefix of the names."""
    low, high = min(names), max(names)
    length = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[:length].rstrip("_-") if low != high else low


def _word(name: str) -> str:
    word = identifier(name)
    return f"y{word}" if word.strip("_").isdigit() else word


def input_names(sources: Sequence[str], taken: Set[str], all_named: bool) -> list[str]:
    """Return names for the arguments of a forward: `x`, `y`, `z`; or, with `all_named`, those that the spec gives to
    the sources."""
    if not all_named or list(sources) == ["input"]:
        return list("xyz"[: len(sources)]) + [f"x{n}" for n in range(4, len(sources) + 1)]
    names: list[str] = []
    for source in sources:
        names.append(unique(_word(source), {*names, *taken}, "_"))
    return names
