"""A model of another tool as a spec, flat: correct, if long. With it the numbers, under the names that the spec
gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from archdsl.backends.spec.flat import flat
from archdsl.backends.spec.rewrite import formatted
from archdsl.backends.weights import Weights
from archdsl.backends.weights.tensors import TensorEntry
from archdsl.diagnostics import ArchError, Origin, Report, Source, Span, error
from archdsl.elaborate import elaborate
from archdsl.elaborate.build import GraphBuilder
from archdsl.frontends.arrange import NAMINGS, Placed, Tangled, arrange, filled
from archdsl.frontends.onnx_model import Array, Model
from archdsl.frontends.steps import recognise
from archdsl.graph import Graph, Node, Scope
from archdsl.language.format.yaml_writer import YamlGroup, YamlLeaf, mapping, write
from archdsl.language.names import is_key
from archdsl.ops import Input
from archdsl.shapes import Shape, concrete
from archdsl.spec.open import document_of, from_source


@dataclass(frozen=True, slots=True)
class Imported:
    """The spec's text, the network that it is, and the model's numbers for it."""

    text: str
    graph: Graph
    weights: Callable[[], Weights]


def to_spec(model: Model, name: str, sizes: Mapping[str, Shape], source: str) -> Imported:
    """A spec of the model. `sizes` are its inputs' shapes without the batch; `source` says where the numbers come from.

    The text is read back and held against what the file says before it is given out.
    Errors: E0842 what is not understood; E0843 what the language cannot say.
    """
    reading = recognise(model, sizes)
    outputs = {_word(value, n): reading.value(value) for n, value in enumerate(model.outputs)}
    if len(outputs) == 1:
        outputs = {"output": reading.value(model.outputs[0])}
    last: Exception = Tangled()
    # Where two modules run one tensor, no spec says that it is one: then each gets a copy.
    for sharing, naming in product((True, False), NAMINGS):
        try:
            graph, tensors = _graph(filled(arrange(reading.made, naming)), name, sizes, outputs, sharing)
            text = _text(graph)
            again = elaborate(document_of(from_source(Source(f"{name}.yaml", text))))
        except (Tangled, ArchError) as problem:
            last = problem
            continue
        if [_row(n) for n in graph.nodes] == [_row(n) for n in again.nodes]:
            return Imported(text, again, partial(_weights, tensors, graph, again, source))
    why = last.diagnostics[0].message if isinstance(last, ArchError) else "its parts read one another in a circle"
    raise error("E0843", f"`{name[:80]}` cannot be written as a spec: {why}")


# --- graph -----------------------------------------------------------------------------------------------------


def _graph(
    placed: Sequence[Placed], name: str, sizes: Mapping[str, Shape], outputs: Mapping[str, str], sharing: bool
) -> tuple[Graph, dict[str, Array]]:
    """The graph, and its numbers by key. Only what the outputs need is kept. `sharing`: tensors used twice are `again`
    ones."""
    maker = _Maker(name, sharing)
    for number, (value, shape) in enumerate(sizes.items()):
        maker.input(value, "input" if len(sizes) == 1 else _word(value, number), shape)
    for one in _needed(placed, outputs.values()):
        maker.add(one)
    return maker.graph(outputs), maker.tensors


def _needed(placed: Sequence[Placed], outputs: Iterable[str]) -> list[Placed]:
    wanted = set(outputs)
    kept = []
    for one in reversed(placed):
        if one.made.output in wanted:
            wanted.update(one.made.inputs)
            kept.append(one)
    return kept[::-1]


class _Maker:
    """Adds nodes to scopes, each scope in one piece."""

    def __init__(self, name: str, sharing: bool) -> None:
        self.name, self.sharing = name, sharing
        self.source = Source(name, "")
        self.builder = GraphBuilder(Report())
        self.root = Scope("", None, "net", self.origin())
        self.scopes: dict[tuple[str, ...], Scope] = {(): self.root}
        self.node_of: dict[str, int] = {}
        self.tensors: dict[str, Array] = {}
        self.first: dict[Hashable, Node] = {}
        """The first node of each op with its very tensors."""
        self.inputs: list[int] = []

    def origin(self) -> Origin:
        """A new one for each node: what shares an origin was written as one."""
        return Origin(Span(self.source, 0, 0))

    def input(self, value: str, path: str, shape: Shape) -> None:
        node = Node(len(self.builder.nodes), path, Input(), (), (), shape, self.root, self.origin())
        self.builder.nodes.append(node)
        self.root.members.append(node.id)
        self.inputs.append(node.id)
        self.node_of[value] = node.id

    def add(self, one: Placed) -> None:
        made = one.made
        inputs = [self.node_of[value] for value in made.inputs]
        before = self.builder.nodes[-1]
        if self._fuses(one, inputs, before):
            path, scope, origin = f"{before.path}/{made.op.name}", before.scope, before.origin
        else:
            scope, origin = self._scope(one.path if one.implied else one.path[:-1]), self.origin()
            path = self.builder.implied_path(scope.path, made.op.name) if one.implied else ".".join(one.path)
        same = (made.op, tuple((key, id(array)) for key, array in made.tensors.items() if array.ndim))
        again = self.first.get(same) if self.sharing and made.tensors else None
        node = self.builder.add(made.op, inputs, path, scope, origin, again=again)
        self.first.setdefault(same, self.builder.nodes[node])
        self.builder.report.raise_errors()
        self.node_of[made.output] = node
        for around in _around(scope):
            around.end = node + 1
        for param in self.builder.nodes[node].params:
            self.tensors[self.builder.nodes[node].key(param)] = made.tensors[param.name]

    def _fuses(self, one: Placed, inputs: Sequence[int], before: Node) -> bool:
        """Whether an activation is written behind the node before it, `3x3 conv 64 relu`."""
        listed = not one.implied and one.path[-1].isdigit()
        alone = isinstance(before.op, Input) or before.op.role == "act" or before.implied
        return one.made.op.role == "act" and not one.made.tensors and not listed and not alone and inputs == [before.id]

    def _scope(self, path: tuple[str, ...]) -> Scope:
        found = self.scopes.get(path)
        if found is None:
            parent = self._scope(path[:-1])
            found = Scope(".".join(path), path[-1], "sequence", self.origin(), parent, first=len(self.builder.nodes))
            parent.members.append(found)
            self.scopes[path] = found
        return found

    def graph(self, outputs: Mapping[str, str]) -> Graph:
        self.root.end = len(self.builder.nodes)
        return Graph(
            name=self.name,
            nodes=tuple(self.builder.nodes),
            inputs=tuple(self.inputs),
            outputs={name: self.node_of[value] for name, value in outputs.items()},
            aux={},
            root=self.root,
            sizes=(),
        )


def _around(scope: Scope | None) -> Iterator[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent


def _word(value: str, number: int) -> str:
    """A name for an input or output of the file."""
    word = re.sub(r"[^A-Za-z0-9_]+", "_", value).strip("_")[:40]
    return (
        word
        if is_key(word)
        else f"{word or 'value'}_{number}"
        if is_key(f"{word or 'value'}_{number}")
        else f"value_{number}"
    )


# --- text ------------------------------------------------------------------------------------------------------


def _text(graph: Graph) -> str:
    made = flat(graph, inferred=False)
    root = YamlGroup()
    root.put("name", YamlLeaf(graph.name))
    shapes = {graph.nodes[i].path: YamlLeaf("x".join(map(str, concrete(graph.nodes[i].shape)))) for i in graph.inputs}
    root.put("input", next(iter(shapes.values())) if len(shapes) == 1 else mapping(shapes, flow=True))
    root.put("net", made.net)
    if made.outputs:
        root.put("outputs", mapping({name: YamlLeaf(reference) for name, reference in made.outputs.items()}, flow=True))
    return formatted(Source(f"{graph.name}.yaml", write(root)))


def _row(node: Node) -> tuple[object, ...]:
    path = "" if node.implied else node.path
    return (
        path,
        node.op.name,
        node.inputs,
        concrete(node.shape),
        node.params,
        node.shared_with,
        node.op.window(node.in_shapes),
    )


def _weights(tensors: Mapping[str, Array], graph: Graph, again: Graph, source: str) -> Weights:
    """The numbers under the keys of the spec that was read back, whose nodes are the same in the same order."""
    entries = {}
    for mine, other in zip(graph.tensors, again.tensors, strict=True):
        array = tensors[mine.key]
        entries[other.key] = TensorEntry(
            array.shape, mine.param.dtype, partial(np.asarray, array, mine.param.dtype, order="C")
        )
    return Weights(entries, source)
