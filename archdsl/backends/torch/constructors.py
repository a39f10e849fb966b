"""Print the constructors of children, each in a form that is correct for all blocks that share a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from archdsl.backends.torch.class_arguments import ClassRef, Column, Use, varies
from archdsl.backends.torch.layout import Doc, SourceGroup, tuple_of
from archdsl.backends.torch.lower import BARE, SIGNATURES, Signature
from archdsl.backends.torch.naming import unique
from archdsl.backends.torch.program import Child, ModuleBlock
from archdsl.backends.torch.repeats import compact, compact_named
from archdsl.backends.torch.sharing import SharedClass, Sharing
from archdsl.backends.torch.steps import Literal, Module, Parameter

LONG = 200
"""Constants longer than this, in characters, are printed above the classes."""
Text: TypeAlias = Callable[[Use, Column], str]
"""Writes a constant, from its value in each block that shares the class."""


class Constructors:
    """Writes constructors, and collects the classes of `layers` and the long constants that they need."""

    def __init__(self, sharing: Sharing) -> None:
        self.sharing = sharing
        self.layers: set[str] = set()
        self.constants: dict[Literal, str] = {}

    def child(self, rows: Sequence[Child], text: Text) -> Doc:
        """Return the constructor of a child; rows[n] is the child in the n-th block that shares the class."""
        first = rows[0]
        if isinstance(first, ModuleBlock):
            blocks = [row for row in rows if isinstance(row, ModuleBlock)]
            shared = self.sharing.of(first)
            return self._container(blocks, text) if shared is None else self._call(shared, blocks, text)
        if isinstance(first, Parameter):
            return _parameter([row for row in rows if isinstance(row, Parameter)], text)
        return self._leaf([row for row in rows if isinstance(row, Module)], text)

    def _call(self, shared: SharedClass, blocks: Sequence[ModuleBlock], text: Text) -> Doc:
        items: list[Doc] = []
        for option in shared.options.items:
            column = tuple(option.column[shared.rows[block]] for block in blocks)
            if not option.optional:
                items.append(text(option.use, column))
            elif any(value != option.default for value in column):
                items.append(f"{option.name}={text(option.use, column)}")
        return SourceGroup(f"{shared.name}(", tuple(items))

    def _leaf(self, rows: Sequence[Module], text: Text) -> Doc:
        first = rows[0]
        if first.target in BARE:
            return f"{text(Use('activation', 'activation'), tuple(ClassRef(row.target) for row in rows))}()"
        self.note(first.target)
        signature = SIGNATURES.get(first.target, Signature(0))
        columns = {name: tuple(row.arguments[n][1] for row in rows) for n, (name, _) in enumerate(first.arguments)}
        if "Pool" in first.target and columns.get("stride") == columns.get("kernel_size"):
            columns.pop("stride", None)
        items: list[Doc] = []
        for position, (name, column) in enumerate(columns.items()):
            if name in signature.defaults and all(repr(v) == repr(signature.defaults[name]) for v in column):
                continue
            written = self._apart(name, column, text(Use(name, name), column))
            items.append(written if position < signature.positional else f"{name}={written}")
        return SourceGroup(f"{first.target}(", tuple(items))

    def _apart(self, name: str, column: Column, written: str) -> str:
        """Return a constant, or the name of one above the classes if it is long (LeNet-5's bitmaps)."""
        value = column[0]
        if varies(column) or len(written) <= LONG or not isinstance(value, tuple):
            return written
        if value not in self.constants:
            known = {option.name for shared in self.sharing.classes for option in shared.options.items}
            self.constants[value] = unique(name.upper(), {*self.sharing.taken, *known, *self.constants.values()}, "_")
        return self.constants[value]

    def note(self, target: str) -> None:
        if "." not in target:
            self.layers.add(target)

    def _container(self, blocks: Sequence[ModuleBlock], text: Text) -> Doc:
        """Return the constructor of a container that is not a class of its own."""
        self.note(blocks[0].container)
        return SourceGroup(
            f"{blocks[0].container}(",
            tuple(self.entries(blocks, text, list(blocks[0].children))),
            spread=len(blocks[0].children) > 1,
        )

    def entries(self, blocks: Sequence[ModuleBlock], text: Text, names: Sequence[str]) -> list[Doc]:
        """Return the arguments of a container's constructor: these children, or a dictionary of them."""
        docs = [self.child([block.children[name] for block in blocks], text) for name in names]
        if names == [str(n) for n in range(len(names))]:
            return compact(docs)
        pairs = tuple(compact_named(names, docs))
        if len(pairs) == 1 and isinstance(pairs[0], str):
            return [SourceGroup("OrderedDict(", (pairs[0].removeprefix("*[").removesuffix("]"),), comma=False)]
        return [SourceGroup("OrderedDict(", (SourceGroup("[", pairs, "]", spread=len(pairs) > 1),), comma=False)]


def _parameter(rows: Sequence[Parameter], text: Text) -> Doc:
    """`nn.Parameter(torch.ones(64, 1, 1))`."""
    sizes = [text(Use("channels", "channels"), tuple(row.shape[n] for row in rows)) for n in range(len(rows[0].shape))]
    fills = tuple(row.fill for row in rows)
    if all(fill in (0.0, 1.0) for fill in fills) and len(set(fills)) == 1:
        inner: Doc = SourceGroup(f"torch.{'ones' if fills[0] else 'zeros'}(", tuple(sizes))
    else:
        inner = SourceGroup("torch.full(", (tuple_of(tuple(sizes)), text(Use("init", "init"), fills)))
    return SourceGroup("nn.Parameter(", (inner,))
