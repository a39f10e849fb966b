"""The graph: typed nodes in written order, and the tree of scopes that contains them.

Only `elaborate` and the passes create a Graph. Everything else (counts, drawings, targets) reads one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from archdsl.diagnostics import Diagnostic, Origin
from archdsl.graph_recipes import Folded
from archdsl.ops.base import Op, Param
from archdsl.shapes import UNKNOWN, Shape

_NOTHING: Mapping[str, Folded] = MappingProxyType({})

ScopeKind = Literal["net", "sequence", "fused", "residual", "branches", "dense", "repeat"]


@dataclass(eq=False, slots=True)
class Scope:
    """A part of the spec that contains nodes: the net, a block call, a composite or one of its branches.

    `path` is its dotted name ("" for the net). An anonymous scope (a residual's body, a list's branch) has its
    parent's path and `name` None. `members` are its scopes and nodes (by id) in written order; the ids of all
    nodes in it are contiguous, `first <= id < end`.
    """

    path: str
    name: str | None
    kind: ScopeKind
    origin: Origin
    parent: Scope | None = None
    block: str | None = None
    """The user-defined block that this scope is a call of; `args` are the values of its arguments by name."""
    args: Mapping[str, Any] = field(default_factory=dict)
    role: Literal["", "body", "shortcut", "branch", "then", "aux"] = ""
    """The role of the scope in the composite around it."""
    doc: str = ""
    label: str = ""
    """Its text in figures, if the spec sets it."""
    again: str = ""
    """The path of the earlier scope that runs again here, with its tensors; empty if this one has its own."""
    members: list[Scope | int] = field(default_factory=list)
    first: int = 0
    end: int = 0

    @property
    def named(self) -> Scope:
        """The nearest enclosing scope (or this one) with a name: the PyTorch module that it belongs to."""
        scope = self
        while scope.name is None and scope.parent is not None:
            scope = scope.parent
        return scope

    def walk(self) -> Iterator[Scope]:
        """Yield this scope and all scopes in it, in written order."""
        stack = [self]
        while stack:
            scope = stack.pop()
            yield scope
            stack += [m for m in reversed(scope.members) if isinstance(m, Scope)]

    def __repr__(self) -> str:
        return f"<Scope {self.path or '(net)'} {self.kind}{f' {self.block}' if self.block else ''}>"


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One op at one place. `shape` is the shape of its output, `in_shapes` those of its inputs, without the batch.

    A path with a slash (`layer1.0/add`, `conv1/relu`) belongs to an implied node, which has no parameters and no
    module of its own.
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
    """Recipes, by parameter name, of tensors with which a pass replaced the op's own."""
    shared_with: str = ""
    """The path of the earlier node whose tensors this node uses; empty if it has its own."""
    label: str = ""
    """Its text in figures, if the spec sets it."""

    @property
    def known(self) -> bool:
        """False for a node that has errors or depends on one that has, in the graph of an incomplete network."""
        return self.shape != UNKNOWN

    @property
    def sources(self) -> tuple[int, ...]:
        """The inputs whose values the node reads; the others give only their sizes."""
        return self.inputs[: len(self.inputs) - self.op.measured]

    @property
    def implied(self) -> bool:
        return "/" in self.path

    @property
    def written_path(self) -> str:
        """The path without the implied part: `layer1.0` for `layer1.0/add`."""
        return self.path.partition("/")[0] or "the net"

    @property
    def reads(self) -> tuple[Param, ...]:
        """The tensors that the node uses, its own or an earlier node's; none if the node is unknown."""
        return self.op.params(self.in_shapes) if self.known else ()

    @property
    def params(self) -> tuple[Param, ...]:
        """The node's own tensors, which it adds to those of the network."""
        if self.shared_with:
            return tuple(param for param in self.reads if param.name in self.folded)
        return self.reads

    @property
    def again(self) -> str:
        """`shared_with` relative to the scope in which the node runs again; empty if it has its own tensors."""
        return self.shared_with.removeprefix(f"{self.home.path}.") if self.home.path else self.shared_with

    @property
    def home(self) -> Scope:
        """The scope of the node, or, if that runs again, the one around it, which also has the first run."""
        home, scope = self.scope, self.scope
        while scope.parent is not None:
            home = scope.parent if scope.again else home
            scope = scope.parent
        return home

    @property
    def module_path(self) -> str:
        """The path of the node whose module runs here: in a scope that runs again, that of the first run."""
        path = self.path
        scope: Scope | None = self.scope
        while scope is not None:
            path = scope.again + path[len(scope.path) :] if scope.again else path
            scope = scope.parent
        return self.shared_with or path

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample at the default input size; 0 if the node is unknown."""
        return self.op.macs(self.in_shapes, self.shape) if self.known else 0

    def key(self, param: Param) -> str:
        """Return the tensor's name in a state_dict, a safetensors file and an ONNX file.

        The name of a tensor that a pass computed contains a slash.
        """
        if param.name in self.folded:
            return f"{self.path}/{param.name}"
        owner = self.shared_with or self.path
        return f"{owner}.{param.name}" if param.name else owner

    def __repr__(self) -> str:
        return f"<Node {self.id} {self.path} {self.op!r}>"


class Tensor(NamedTuple):
    """A named tensor of the network, with the first node that uses it."""

    key: str
    param: Param
    node: Node

    @property
    def recipe(self) -> Folded | None:
        """How a pass computes the tensor from others; None for one of the network's own."""
        return self.node.folded.get(self.param.name)


class FreeSize(NamedTuple):
    """The legal heights or widths of the input.

    Legal are all sizes of at least `minimum` with ``size % step == default % step``. If `pinned` states a reason, only
    `default` is legal.
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
    """An auxiliary head: the id of its output node, and its weight in the loss."""

    node: int
    weight: float


@dataclass(frozen=True)
class Graph:
    """A network, complete with all shapes: counts, drawings and targets read it.

    Only `known_graph` creates one that is incomplete: some of its nodes are not `known`, and outputs may be missing.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: Mapping[str, int]
    aux: Mapping[str, AuxHead]
    root: Scope
    sizes: tuple[FreeSize, ...]
    """The inputs' spatial sizes that are legal at inference, in written order."""
    notes: tuple[Diagnostic, ...] = ()
    """Warnings and notes from elaboration."""
    complete: bool = True
    """False if the spec has errors: nodes may be unknown, or missing."""
    training_sizes: tuple[FreeSize, ...] = ()
    """The sizes at which the auxiliary heads run, too; empty if there are none."""
    unfit_heads: tuple[str, ...] = ()
    """The auxiliary heads of the spec that the graph does not have, because they need a larger input."""
    unfit_params: int = 0
    """The trained parameters of these heads, for an input that is large enough."""

    def like(self, node: Node) -> str:
        """Return the node whose size `node` gets, relative to its scope; empty if it has no such field."""
        if not node.op.measured:
            return ""
        path, around = self.nodes[node.inputs[-1]].written_path, f"{node.scope.path}."
        return path.removeprefix(around) if node.scope.path else path

    @cached_property
    def unknown(self) -> tuple[Node, ...]:
        """The nodes that have errors or depend on one that has; empty for the graph of a valid spec."""
        return tuple(node for node in self.nodes if not node.known)

    @cached_property
    def unread(self) -> frozenset[int]:
        """The nodes that no output and no auxiliary head depends on: nothing runs them. Inputs are not among them.

        Empty if the graph is incomplete, as its outputs may be missing.
        """
        ends = {*self.outputs.values(), *(head.node for head in self.aux.values())}
        needed = needed_for(self.nodes, ends) | {*self.inputs}
        return frozenset() if self.unknown or not self.complete else frozenset(range(len(self.nodes))) - needed

    @cached_property
    def running(self) -> tuple[Node, ...]:
        """The nodes that run at inference: those that an output depends on, and all inputs."""
        return tuple(node for node in self.nodes if not node.training and node.id not in self.unread)

    @cached_property
    def by_path(self) -> dict[str, Node]:
        return {node.path: node for node in self.nodes}

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """All named tensors, each once, including those of auxiliary heads, in the order of their first use."""
        tensors: dict[str, Tensor] = {}
        for node in self.nodes:
            for param in node.reads:
                key = node.key(param)
                if key not in tensors:
                    tensors[key] = Tensor(key, param, node)
        return tuple(tensors.values())

    @cached_property
    def _owners(self) -> frozenset[str]:
        return frozenset(node.shared_with for node in self.nodes if node.shared_with)

    def is_shared(self, node: Node) -> bool:
        """Whether the node uses the tensors of an earlier node, or a later node uses its tensors."""
        return bool(node.shared_with) or node.path in self._owners

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For each node, the ids of the nodes that read its output."""
        readers: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                readers[source].append(node.id)
        return tuple(map(tuple, readers))

    @cached_property
    def input_spec(self) -> str:
        """The inputs in the notation of a spec: `3x224x224`."""
        shapes = ["x".join(str(s) for s in _sizes(self.nodes[i].shape)) for i in self.inputs]
        if len(shapes) == 1:
            return shapes[0]
        return ", ".join(f"{self.nodes[i].path}: {s}" for i, s in zip(self.inputs, shapes, strict=True))


def needed_for(nodes: Sequence[Node], ends: Set[int]) -> set[int]:
    """Return the ids of the nodes `ends` and of all that they depend on."""
    needed = set(ends)
    for node in reversed(nodes):
        if node.id in needed:
            needed.update(node.inputs)
    return needed


def _sizes(shape: Shape) -> tuple[int, ...]:
    return tuple(s if isinstance(s, int) else s.default for s in shape)
