"""Cut a model to the part before chosen nodes: a detector to its backbone. The rest is neither read nor refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import onnx

from archdsl.diagnostics import closest, error
from archdsl.frontends.onnx_model import module_of
from archdsl.runtime.embedded import without_preprocessing

if TYPE_CHECKING:
    from torch import nn


def cut(proto: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """Reduce a model to the nodes that `outputs` need, without the preprocessing of images, and return it.

    Each output is the name of a value, of a node, or the path of a module, whose last node it is. Raises E0001 for a
    name that the model does not have. Without `outputs` it has all, but for the maps that `compile --cam` added.
    """
    without_preprocessing(proto)
    graph = proto.graph
    if not outputs:
        if proto.producer_name == "archdsl" and any(entry.key == "cam" for entry in proto.metadata_props):
            del graph.output[max(len(graph.output) - 1, 1) :]
        return proto
    values = {name: name for node in graph.node for name in node.output if name}
    nodes = {node.name: node.output[0] for node in graph.node if node.name and node.output}
    modules: dict[str, str] = {}
    for node in graph.node:
        path = module_of(node) or ""
        for end in range(1, path.count(".") + 2) if path and node.output else ():
            modules[".".join(path.split(".")[:end])] = node.output[0]
    known = {**modules, **nodes, **values}
    ends = [_named(name, known) for name in outputs]
    needed, kept = set(ends), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    inputs = [value for value in graph.input if value.name in needed]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(reversed(kept))
    graph.input.extend(inputs)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(ends))
    return proto


def _named(name: str, known: dict[str, str]) -> str:
    if name in known:
        return known[name]
    raise _unknown(name, known)


def _unknown(name: str, known: Iterable[str]) -> Exception:
    """E0001 with the most similar name; names that end alike are compared first, as only some hundred are."""
    last = name.replace("/", ".").rpartition(".")[2].lower()
    best = closest(name, sorted(known, key=lambda one: last not in one.lower()))
    help = f"did you mean `{best[:120]}`?" if best else "name a node or a value of the file, or the path of a module"
    return error("E0001", f"`outputs` cannot be `{name[:120]}`: the model has no such node", status=2, help=help)


def _keep(found: dict[str, Any], path: str, _: Any, __: Any, value: Any) -> None:
    """Keep a copy of the value of a module's first run: what follows may change it in place."""
    from torch import Tensor
    from torch.utils._pytree import tree_map_only

    if path not in found:
        found[path] = tree_map_only(Tensor, Tensor.clone, value)


@contextmanager
def stopped(module: nn.Module, outputs: Sequence[str]) -> Iterator[None]:
    """Let a module return the values of the modules inside it with these paths, of their first runs.

    The rest of it still runs, because a trace of torch cannot be left early, but nothing of that is read. Raises E0001
    for a path that it does not have.
    """
    modules = dict(module.named_modules(remove_duplicate=False))
    for path in outputs:
        if path not in modules or not path:
            raise _unknown(path, filter(None, modules))
    if not outputs:
        yield
        return
    found: dict[str, Any] = {}
    forward = module.forward

    def returning(*inputs: Any) -> Any:
        found.clear()
        forward(*inputs)
        missing = next((path for path in outputs if path not in found), None)
        if missing is not None:
            raise ValueError(f"its module `{missing}` does not run")
        return found[outputs[0]] if len(outputs) == 1 else tuple(found[path] for path in outputs)

    handles = [modules[path].register_forward_hook(partial(_keep, found, path)) for path in dict.fromkeys(outputs)]
    own = vars(module).get("forward")  # set on this object alone, as wrappers do
    module.forward = returning
    try:
        yield
    finally:
        del module.forward
        if own is not None:
            module.forward = own
        for handle in handles:
            handle.remove()
