"""PyTorch modules as models of ONNX's ops: the table `{ATen op: function}`.

`translate` reads a program of `torch.export`. A function gets the translation and the arguments of the ATen op under
the names of its schema, emits ONNX nodes, and returns the name of its value, or the values of an op with several. An
op that changes its first argument has the function of the op that does not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.utils._pytree import tree_flatten_with_path, tree_unflatten

from archdsl.frontends.aten import layers, pools, shapes, values
from archdsl.frontends.aten.translation import Lazy, Translation
from archdsl.frontends.onnx_model import SourceModel, SourceNode, refused
from archdsl.frontends.state import Unsupported

AtenRule: TypeAlias = Callable[..., "str | tuple[str, ...] | Lazy"]
"""Emits the nodes of an ATen op and returns its value. Raises `Unsupported`."""

TABLE: Mapping[str, AtenRule] = {**layers.TABLE, **pools.TABLE, **shapes.TABLE, **values.TABLE}
"""By the name of the op, with its overload (`max.dim`) where that matters."""


_COPIES = frozenset(("clone", "_to_copy"))
_SAME = frozenset(("alias", "detach", "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"))
"""Ops whose output is their input itself."""


def translate(
    program: ExportedProgram, name: str, names: Mapping[int, list[str]], paths: Mapping[str, str]
) -> SourceModel:
    """Return the program as a model. `names`: for the address of each tensor of the module, all its names; `paths`: for
    each path of a module, the first path of the same module.

    Raises E0842 for ATen ops without a rule, and for those that a rule refuses.
    """
    state = Translation(program, names, paths)
    inputs = state.placeholders()
    needed = _needed_nodes(program)
    aliases = Aliases(needed)
    problems: dict[tuple[str, str], list[str]] = {}
    failed: set[fx.Node] = set()
    outputs: tuple[str, ...] = ()
    for node in needed:
        if node.op == "placeholder" or failed.intersection(node.all_input_nodes):
            failed |= {node} if node.op != "placeholder" else set()
            continue
        state.node = node
        try:
            if node.op == "output":
                returned = [value for value in node.args[0] if isinstance(value, fx.Node)]  # type: ignore[union-attr]
                outputs = tuple(map(state.value, returned))
                _check_outputs(state, node)
            else:
                _translate(state, node, aliases)
        except Unsupported as problem:
            problems.setdefault((str(state.node.target), str(problem)), []).append(state.module(state.node))
            failed.add(node)
    if problems:
        raise refused("E0842", problems, sum(node.op == "call_function" for node in needed))
    return SourceModel(
        name,
        _emitted(state.nodes, outputs),
        state.arrays,
        inputs,
        outputs,
        origins=state.origins,
        output_names=_output_names(program, outputs),
    )


def _output_names(program: ExportedProgram, outputs: Sequence[str]) -> tuple[str, ...]:
    """The names of the outputs: the keys of the dictionaries and named tuples that have them, or else their values."""
    spec = program.call_spec.out_spec
    if spec is None or spec.num_leaves != len(outputs):
        return tuple(outputs)
    paths, _ = tree_flatten_with_path(tree_unflatten(list(outputs), spec))
    words = ("_".join(str(getattr(key, "key", getattr(key, "name", ""))) for key in path) for path, _ in paths)
    return tuple(word.strip("_") or value for word, value in zip(words, outputs, strict=True))


def _needed_nodes(program: ExportedProgram) -> list[fx.Node]:
    """The nodes that the outputs need, with those that change what they read in place; the others are not read."""
    nodes = list(program.graph.nodes)
    memory: dict[object, fx.Node] = {}
    for node in nodes:
        memory[node] = memory.get(node.args[0], node) if _shares(node) else node
    needed: set[fx.Node] = set()
    read: set[fx.Node] = set()
    for node in reversed(nodes):
        if node.op == "output" or node in needed or (_changes(node) and memory[node] in read):
            needed.update((node, *node.all_input_nodes))
            read.update(memory[one] for one in node.all_input_nodes)
    return [node for node in nodes if node in needed]


def _shares(node: fx.Node) -> bool:
    """Whether a node can have the memory of its first argument."""
    if _changes(node) or node.target is operator.getitem:
        return True
    name, rule = _rule(node)
    return name in _SAME or (name not in _COPIES and rule in shapes.VIEWS)


def _rule(node: fx.Node) -> tuple[str, AtenRule | None]:
    """The name of an ATen op, without the mark of ops that change their input, and its rule."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
        return "", None
    packet = node.target._overloadpacket.__name__
    name = packet.removesuffix("_") if _changes(node) else packet
    return name, TABLE.get(f"{name}.{node.target._overloadname}", TABLE.get(name))


def _emitted(nodes: list[SourceNode], outputs: tuple[str, ...]) -> tuple[SourceNode, ...]:
    """The nodes that the outputs need: one that became a part of another op needs no rule."""
    names, kept = set(outputs), []
    for node in reversed(nodes):
        if not names.isdisjoint(node.outputs):
            names.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def _check_outputs(state: Translation, node: fx.Node) -> None:
    others = [value for value in node.args[0] if value is not None and not isinstance(value, fx.Node)]  # type: ignore[union-attr]
    if others:
        raise Unsupported(f"one of the outputs is no tensor but {str(others[0])[:40]}")
    if any(state.is_constant(value) for value in node.all_input_nodes):
        raise Unsupported("one of the outputs is a constant")


def _changes(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _translate(state: Translation, node: fx.Node, aliases: Aliases) -> None:
    if node.target is operator.getitem:
        source, index = node.args
        state.values[node] = state.values[source][index]  # type: ignore[index]
        aliases.join(node, source, same=False)
        return
    if not isinstance(node.target, torch._ops.OpOverload):
        raise Unsupported("it is control flow, or an op that is not of PyTorch")
    if state.evaluate(node):
        return
    rule = _rule(node)[1]
    if rule is None:
        raise Unsupported("archdsl has no op for it")
    if _changes(node):
        aliases.check(node)
    try:
        result = rule(state, *node.args, **node.kwargs)
    except TypeError as problem:
        raise Unsupported(f"its arguments are not understood ({str(problem)[:120]})") from None
    if isinstance(result, Lazy):
        state.lazy[node] = result
    else:
        state.values[node] = result
    if _changes(node):
        aliases.change(state, node)
    elif _shares(node):
        aliases.join(node, node.args[0], same=_rule(node)[0] in _SAME)


class Aliases:
    """Which nodes can share memory, so that an op that changes one of them changes the others as well."""

    def __init__(self, nodes: Iterable[fx.Node]) -> None:
        self.position = {node: number for number, node in enumerate(nodes)}
        self.group: dict[fx.Node, list[tuple[fx.Node, object]]] = {}
        """The nodes that can share memory with a node, each with a mark that is equal for the same tensor."""

    def join(self, node: fx.Node, source: Any, same: bool) -> None:
        group = self.group.setdefault(source, [(source, source)])
        mark = next(mark for one, mark in group if one is source)
        group.append((node, mark if same else node))
        self.group[node] = group

    def check(self, node: fx.Node) -> None:
        """Raises `Unsupported` if a later node reads memory that this one changes, under another shape."""
        changed: Any = node.args[0]
        group = self.group.get(changed, [(changed, changed)])
        mark = next(mark for one, mark in group if one is changed)
        for other, its_mark in group:
            if its_mark is not mark and any(self.position.get(user, 0) > self.position[node] for user in other.users):
                raise Unsupported(f"it changes a tensor in place of which `{other.name}` is a part or another view")

    def change(self, state: Translation, node: fx.Node) -> None:
        """The nodes that are the tensor which `node` changed have its value from now on."""
        changed: Any = node.args[0]
        group = self.group.setdefault(changed, [(changed, changed)])
        mark = next(mark for one, mark in group if one is changed)
        for other, its_mark in group:
            if its_mark is mark:
                state.lazy.pop(other, None)
                state.values[other] = state.value(node)
        self.join(node, changed, same=True)
