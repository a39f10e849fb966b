"""The graph: fully typed nodes in the order they were written, and the tree of scopes that they came from.

Only `elaborate` and the passes make a Graph. Everything else (counts, drawings, targets) reads one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from archdsl.diagnostics import Diagnostic, Origin
from archdsl.graph_recipes import Folded
from archdsl.ops.base import Op, Param
from archdsl.shapes import Shape

_NOTHING: Mapping[str, Folded] = MappingProxyType({})

ScopeKind = Literal["net", "sequence", "fused", "residual", "branches", "dense", "repeat"]


@dataclass(eq=False, slots=True)
class Scope:
    """A node of the tree of blocks: what was written as one thing.

    `path` is its dotted name ("" for the net). An anonymous scope (a residual's body, a list's branch) has its
    parent's path and `name` None. `members` are its scopes and nodes (by id) in written order; the ids of all
    nodes below it are contiguous, `first <= id < end`.
    """

    path: str
    name: str | None
    kind: ScopeKind
    origin: Origin
    parent: Scope | None = None
    block: str | None = None
    """The user's block that this scope is a call of, with `args`, its arguments' values by name."""
    args: Mapping[str, Any] = field(default_factory=dict)
    role: Literal["", "body", "shortcut", "branch", "then", "aux"] = ""
    """What the scope is to the composite around it."""
    doc: str = ""
    members: list[Scope | int] = field(default_factory=list)
    first: int = 0
    end: int = 0

    @property
    def named(self) -> Scope:
        """The nearest scope around (or this one) that has a name of its own: the torch module it belongs to."""
        scope = self
        while scope.name is None and scope.parent is not None:
            scope = scope.parent
        return scope

    def walk(self) -> Iterator[Scope]:
        """This scope and all below it, in written order."""
        stack = [self]
        while stack:
            scope = stack.pop()
            yield scope
            stack += [m for m in reversed(scope.members) if isinstance(m, Scope)]

    def __repr__(self) -> str:
        return f"<Scope {self.path or '(net)'} {self.kind}{f' {self.block}' if self.block else ''}>"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One op at one place. `shape` is its output's, `in_shapes` its inputs', all without the batch.

    A path with a slash (`layer1.0/add`, `conv1/relu`) belongs to an implied node: it has no parameters and takes no
    place in the module tree.
    """

    id: int
    path: str
    op: Op
    inputs: tuple[int, ...]
    in_shapes: tuple[Shape, ...]
    shape: Shape
    scope: Scope
    origin: Origin
    training: bool = False
    """Runs in training only: part of an auxiliary head."""
    folded: Mapping[str, Folded] = field(default_factory=lambda: _NOTHING)
    """Recipes, by parameter name, of tensors that a pass put in the place of the op's own."""
    shared_with: str = ""
    """The path of the earlier node whose tensors it runs with; empty: it has its own."""

    @property
    def implied(self) -> bool:
        return "/" in self.path

    @property
    def written_path(self) -> str:
        """The path of what was written: that of `layer1.0/add` is `layer1.0`."""
        return self.path.partition("/")[0] or "the net"

    @property
    def reads(self) -> tuple[Param, ...]:
        """The tensors that it runs with, its own or an earlier node's."""
        return self.op.params(self.in_shapes)

    @property
    def params(self) -> tuple[Param, ...]:
        """The tensors of its own: what it adds to the network's."""
        if self.shared_with:
            return tuple(param for param in self.reads if param.name in self.folded)
        return self.reads

    @property
    def again(self) -> str:
        """The name, in the module around it, of the node whose tensors it runs with; empty: it has its own."""
        return self.shared_with[len(self.scope.path) :].lstrip(".")

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample at the default input size."""
        return self.op.macs(self.in_shapes, self.shape)

    def key(self, param: Param) -> str:
        """The tensor's name in a state_dict, a safetensors file and an ONNX file; with a slash one that a pass made."""
        if param.name in self.folded:
            return f"{self.path}/{param.name}"
        home = self.shared_with or self.path
        return f"{home}.{param.name}" if param.name else home

    def __repr__(self) -> str:
        return f"<Node {self.id} {self.path} {self.op!r}>"


class Tensor(NamedTuple):
    """A named tensor of the network, with the node it belongs to (the first that uses it, where a pass dropped that
    one)."""

    key: str
    param: Param
    node: Node

    @property
    def recipe(self) -> Folded | None:
        """What it is made of, where a pass made it."""
        return self.node.folded.get(self.param.name)


class FreeSize(NamedTuple):
    """What is known of the input's height or width: which sizes the network takes.

    Legal are `default`, and, unless `pinned` says why not, every size from `minimum` on with
    ``size % step == default % step``.
    """

    name: str
    default: int
    minimum: int
    step: int
    pinned: str = ""

    def __str__(self) -> str:
        if self.pinned:
            return f"{self.name} = {self.default}"
        step = f", steps of {self.step}" if self.step > 1 else ""
        return f"{self.name} >= {self.minimum}{step}"


class AuxHead(NamedTuple):
    """An auxiliary head: the node whose output it is, and its weight in the loss."""

    node: int
    weight: float


@dataclass(frozen=True)
class Graph:
    """A network: what every view and every target reads."""

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: Mapping[str, int]
    aux: Mapping[str, AuxHead]
    root: Scope
    sizes: tuple[FreeSize, ...]
    """Free spatial sizes of the inputs, in the order they were written."""
    notes: tuple[Diagnostic, ...] = ()
    """Warnings and notes from elaboration."""

    @cached_property
    def by_path(self) -> dict[str, Node]:
        return {node.path: node for node in self.nodes}

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """All named tensors, each once, aux heads included, in the order of the nodes that use them first."""
        found: dict[str, Tensor] = {}
        for node in self.nodes:
            for param in node.reads:
                key = node.key(param)
                if key not in found:
                    found[key] = Tensor(key, param, node)
        return tuple(found.values())

    @cached_property
    def _owners(self) -> frozenset[str]:
        return frozenset(node.shared_with for node in self.nodes if node.shared_with)

    def is_shared(self, node: Node) -> bool:
        """Whether other nodes may use the tensors of this one: it runs an earlier node again, or a later one runs
        it."""
        return bool(node.shared_with) or node.path in self._owners

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For each node the ids of the nodes that read it."""
        readers: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                readers[source].append(node.id)
        return tuple(map(tuple, readers))

    @cached_property
    def input_spec(self) -> str:
        """The inputs as a spec writes them: `3x224x224`."""
        shapes = ["x".join(str(s) for s in _numbers(self.nodes[i].shape)) for i in self.inputs]
        if len(shapes) == 1:
            return shapes[0]
        return ", ".join(f"{self.nodes[i].path}: {s}" for i, s in zip(self.inputs, shapes, strict=True))


def _numbers(shape: Shape) -> tuple[int, ...]:
    return tuple(s if isinstance(s, int) else s.default for s in shape)
