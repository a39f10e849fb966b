"""Writes an imported model as a spec, with its weights under the names of the spec."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from archdsl.analysis.equal_nodes import partners
from archdsl.backends.spec.flat import flat as flat_spec
from archdsl.backends.spec.recover import Recovered, Shorten, modules, recover
from archdsl.backends.spec.rewrite import formatted
from archdsl.backends.weights import Weights
from archdsl.backends.weights.tensors import TensorEntry
from archdsl.diagnostics import ArchError, Origin, Report, Source, Span, error
from archdsl.elaborate import elaborate
from archdsl.elaborate.build import GraphBuilder
from archdsl.frontends.arrange import PlacedOp, arrange
from archdsl.frontends.onnx_model import Array, SourceModel
from archdsl.frontends.onnx_ops import recognise
from archdsl.frontends.parts import with_joined_parts
from archdsl.frontends.state import place
from archdsl.graph import Graph, Node, Scope
from archdsl.language.format.yaml_writer import YamlGroup, YamlLeaf, mapping, write
from archdsl.language.names import is_argument, is_key
from archdsl.ops import Input
from archdsl.shapes import Shape, concrete
from archdsl.spec.open import document_of, from_source

_NAMELESS = re.compile(r"onnx::\w+")
"""Names that PyTorch's exporter makes for tensors that it computed."""


@dataclass(frozen=True, slots=True)
class ImportedSpec:
    """A spec as text, the graph that it defines, and the model's weights for it.

    `recovered`: the same spec with how many modules are blocks and composites; None if it is flat. `values` are the
    model's names of the values of nodes, by the paths of the nodes. `last` are the names of values that have their
    channels last in the model. `renamed`: the tensors of the model that have another name in the spec, with that name;
    `left_out`: the keys of a module's state_dict that the spec lacks; `made`: the trained tensors of the spec that are
    no parameters of the module.
    """

    text: str
    graph: Graph
    weights: Callable[[], Weights]
    recovered: Recovered | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    last: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    made: tuple[str, ...] = ()

    @property
    def flat(self) -> int:
        """How many modules are neither blocks nor composites."""
        return modules(self.graph) if self.recovered is None else self.recovered.flat


def to_spec(
    model: SourceModel, name: str, sizes: Mapping[str, Shape], source: str, shorten: Shorten = recover
) -> ImportedSpec:
    """Return the spec of the model. `sizes` are its inputs' shapes without the batch; `source` is that of the weights.

    The flat spec has one node after the other; `shorten` may return another. The flat one is elaborated again, and its
    graph compared with the model. Raises E0842 for unsupported nodes, E0843 if no spec can express the model.
    """
    state = recognise(model, sizes)
    joined = with_joined_parts(state.ops, state.shapes, map(state.value, model.outputs))
    outputs = dict(
        zip(_words(model.output_names or model.outputs, "output"), map(state.value, model.outputs), strict=True)
    )
    reason = "another graph"
    # A spec cannot share a tensor between any two modules; where it cannot, each node of a file gets a copy.
    for sharing in (True,) if model.classes else (True, False):
        try:
            graph, tensors, node_of = _graph(arrange(joined, sharing), name, sizes, outputs, sharing)
            _check_parameters(model, tensors)
            text = _text(graph)
            again = elaborate(document_of(from_source(Source(f"{name}.yaml", text))))
        except ArchError as problem:
            reason = problem.diagnostics[0].message
            continue
        if [_row(n) for n in graph.nodes] == [_row(n) for n in again.nodes]:
            turned = state.turned
            values = {again.nodes[number].path: turned.get(value, value) for value, number in node_of.items()}
            last = frozenset(state.channels_last)
            renamed, left_out = _changed_names(model, tensors)
            made = _made_parameters(model, graph, tensors)
            recovered = shorten(graph, model.classes, len(text.splitlines()))
            if recovered is not None:
                weights = partial(_weights, tensors, recovered.graph, recovered.graph, source)
                pairs = partners(again, recovered.graph).items()
                values = {path: values[other] for path, other in pairs if other in values}
                return ImportedSpec(
                    recovered.text, recovered.graph, weights, recovered, values, last, renamed, left_out, made
                )
            weights = partial(_weights, tensors, graph, again, source)
            return ImportedSpec(text, again, weights, None, values, last, renamed, left_out, made)
    raise error("E0843", f"`{name[:80]}` cannot be written as a spec: {reason}")


def _check_parameters(model: SourceModel, tensors: Mapping[str, Array]) -> None:
    """Raises E0843 unless each parameter that a module uses is one tensor of the spec."""
    counts = Counter(map(place, tensors.values()))
    for name in sorted(model.learned):
        count = counts[place(model.constants[name])]
        if count != 1:
            one = "the ops of a spec learn one number per channel, not one for all"
            none = one if model.constants[name].size == 1 else "no op of a spec has it as a tensor"
            reason = none if not count else "different layers share it"
            raise error("E0843", f"the parameter `{name[:120]}` cannot be written: {reason}")


def _changed_names(model: SourceModel, tensors: Mapping[str, Array]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The tensors that have another name in the spec, and the keys of the state_dict that are not in it."""
    names: dict[int, list[str]] = {}
    for name, array in model.constants.items():
        if not name.startswith("%") and not _NAMELESS.fullmatch(name):
            names.setdefault(place(array), []).append(name)
    known = {key: names.get(place(array), []) for key, array in tensors.items()}
    renamed = {own[0]: key for key, own in known.items() if own and key not in own}
    present = {name for own in known.values() for name in own}
    return renamed, tuple(name for name in model.state if name not in present)


def _made_parameters(model: SourceModel, graph: Graph, tensors: Mapping[str, Array]) -> tuple[str, ...]:
    """The trained tensors of the spec that are no parameters of the module; none for a file, which does not say so."""
    if not model.classes:
        return ()
    learned = {place(model.constants[name]) for name in model.learned}
    trained = (key for key, param, _ in graph.tensors if param.trained and key in tensors)
    return tuple(key for key in trained if place(tensors[key]) not in learned)


# --- graph -----------------------------------------------------------------------------------------------------


def _graph(
    placed: Sequence[PlacedOp], name: str, shapes: Mapping[str, Shape], outputs: Mapping[str, str], sharing: bool
) -> tuple[Graph, dict[str, Array], dict[str, int]]:
    """The graph of the ops that the outputs need, its tensors by key, and the nodes of the model's values. `sharing`: a
    tensor used twice becomes `again`."""
    needed = _needed(placed, outputs.values())
    readers = Counter([*outputs.values(), *(value for one in needed for value in one.imported.inputs)])
    builder = _SpecGraphBuilder(name, sharing, readers)
    for (value, shape), path in zip(shapes.items(), _words(list(shapes), "input"), strict=True):
        builder.input(value, path, shape)
    for one in needed:
        builder.add(one)
    return builder.graph(outputs), builder.tensors, builder.node_of


def _needed(placed: Sequence[PlacedOp], outputs: Iterable[str]) -> list[PlacedOp]:
    values = set(outputs)
    kept = []
    for one in reversed(placed):
        if one.imported.output in values:
            values.update(one.imported.inputs)
            kept.append(one)
    return kept[::-1]


class _SpecGraphBuilder:
    """Builds a graph from ops; the nodes of each scope are in a row."""

    def __init__(self, name: str, sharing: bool, readers: Mapping[str, int]) -> None:
        self.name, self.sharing, self.readers = name, sharing, readers
        self.source = Source(name, "")
        self.builder = GraphBuilder(Report())
        self.root = Scope("", None, "net", self.origin())
        self.scopes: dict[tuple[str, ...], Scope] = {(): self.root}
        self.node_of: dict[str, int] = {}
        self.tensors: dict[str, Array] = {}
        self.first: dict[Hashable, Node] = {}
        """The first node of each op and tensors."""
        self.inputs: list[int] = []

    def origin(self) -> Origin:
        """A new origin for each node: nodes with the same origin are written as one."""
        return Origin(Span(self.source, 0, 0))

    def input(self, value: str, path: str, shape: Shape) -> None:
        node = Node(len(self.builder.nodes), path, Input(), (), (), shape, self.root, self.origin())
        self.builder.nodes.append(node)
        self.root.members.append(node.id)
        self.inputs.append(node.id)
        self.node_of[value] = node.id

    def add(self, one: PlacedOp) -> None:
        imported = one.imported
        op, tensors = imported.op, imported.tensors
        inputs = [self.node_of[value] for value in imported.inputs]
        before = self.builder.nodes[-1]
        if self._fuses(one, inputs, before):
            path, scope, origin = f"{before.path}/{op.name}", before.scope, before.origin
        else:
            scope, origin = self._scope(one.scopes), self.origin()
            path = self.builder.implied_path(scope.path, op.name) if one.implied else ".".join(one.path)
        again = self.first.get(imported.identity) if self.sharing and tensors else None
        number = self.builder.add(op, inputs, path, scope, origin, again=again)
        node = self.builder.nodes[number]
        self.first.setdefault(imported.identity, node)
        self.builder.report.raise_errors()
        self.node_of[imported.output] = number
        for outer in _with_parents(scope):
            outer.end = number + 1
        for param in node.params:
            self.tensors[node.key(param)] = tensors[param.name]

    def _fuses(self, one: PlacedOp, inputs: Sequence[int], before: Node) -> bool:
        """Whether an activation is written together with the node before it: `3x3 conv 64 relu`."""
        listed = not one.implied and one.path[-1].isdigit()
        alone = isinstance(before.op, Input) or before.op.role == "act" or before.implied
        imported = one.imported
        read_again = any(self.readers[value] > 1 for value in imported.inputs)
        ready = imported.op.role == "act" and not imported.tensors and not read_again
        return ready and not listed and not alone and inputs == [before.id]

    def _scope(self, paths: tuple[tuple[str, ...], ...]) -> Scope:
        """The innermost of these scopes, each inside the one before."""
        path = paths[-1]
        scope = self.scopes.get(path)
        if scope is None:
            parent, name = self._scope(paths[:-1]), ".".join(path[len(paths[-2]) :])
            scope = Scope(".".join(path), name, "sequence", self.origin(), parent, first=len(self.builder.nodes))
            parent.members.append(scope)
            self.scopes[path] = scope
        return scope

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


def _with_parents(scope: Scope | None) -> Iterator[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent


def _words(values: Sequence[str], single: str) -> list[str]:
    """Names for the inputs or outputs of the model, all of them different; one alone is called `single`."""
    words: list[str] = []
    for index, value in enumerate(values if len(values) > 1 else ()):
        word = re.sub(r"[^A-Za-z0-9_]+", "_", value).strip("_")[:40]
        candidates = (word, f"{word or 'value'}_{index}", f"value_{index}", f"value_{index}_{len(values)}")
        words.append(next(one for one in candidates if is_key(one) and is_argument(one) and one not in words))
    return words or [single]


# --- text ------------------------------------------------------------------------------------------------------


def _text(graph: Graph) -> str:
    spec = flat_spec(graph, inferred=False)
    root = YamlGroup()
    root.put("name", YamlLeaf(graph.name))
    shapes = {graph.nodes[i].path: YamlLeaf("x".join(map(str, concrete(graph.nodes[i].shape)))) for i in graph.inputs}
    root.put("input", next(iter(shapes.values())) if len(shapes) == 1 else mapping(shapes, flow=True))
    root.put("net", spec.net)
    if spec.outputs:
        root.put("outputs", mapping({name: YamlLeaf(reference) for name, reference in spec.outputs.items()}, flow=True))
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
    """The weights under the keys of the spec's graph `again`, which has the same nodes in the same order."""
    entries = {}
    for tensor, target in zip(graph.tensors, again.tensors, strict=True):
        array = tensors[tensor.key]
        entries[target.key] = TensorEntry(
            array.shape, tensor.param.dtype, partial(np.asarray, array, tensor.param.dtype, order="C")
        )
    return Weights(entries, source)
