"""Read what an ONNX file that archdsl wrote contains of its network: the tensors, and the sizes that it leaves free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from archdsl.backends.onnx.opsets import NEWEST, OLDEST
from archdsl.backends.onnx.plan import plan
from archdsl.backends.onnx.records import Constant, Derived, Initializer
from archdsl.backends.weights import Array, TensorEntry, Weights
from archdsl.diagnostics import error
from archdsl.graph import Graph

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto


def stored_weights(model: ModelProto, folder: Path, graph: Graph, source: str) -> Weights | None:
    """Return the tensors of the graph, each read on access; None if the file has other tensors.

    `folder` contains the external data. Counters, which inference does not read, are 0.
    """
    stored: Mapping[str, TensorProto] = {item.name: item for item in model.graph.initializer}
    planned: dict[str, Initializer] = {}
    initializers = plan(graph, opset=opset_of(model)).initializers
    for one in initializers:
        if not isinstance(one, Constant):
            planned[one.key if isinstance(one, Derived) else one.name] = one
    entries: dict[str, TensorEntry] = {}
    for tensor in graph.tensors:
        shape, item = tensor.param.shape, planned.get(tensor.key)
        make: Callable[[], Array]
        if item is None:  # inference does not read it
            make = partial(np.zeros, shape, tensor.param.dtype)
        elif isinstance(item, Derived) and item.recipe is not None:
            return None
        elif item.name in stored and tuple(stored[item.name].dims) == item.shape:
            make = partial(_read, stored[item.name], item, folder)
        else:
            return None
        entries[tensor.key] = TensorEntry(shape, tensor.param.dtype, make)
    used = {item.name for item in initializers}
    return Weights(entries, source) if used == stored.keys() else None


def opset_of(model: ModelProto) -> int:
    """Return the opset of a model that archdsl wrote. Raises E0805 for one that it writes in none."""
    found = next((item.version for item in model.opset_import if not item.domain), 0)
    if not OLDEST <= found <= NEWEST:
        raise error("E0805", f"its opset is {found}; archdsl writes {OLDEST} to {NEWEST}")
    return int(found)


def fixed_axes(model: ModelProto, graph: Graph) -> tuple[str, ...]:
    """Return the axes that the file fixes although it was compiled to leave them free: `the batch at 1`, `H at 32`.

    The batch is always free; the metadata of the file lists the free sizes.
    """
    free = {item.key.removeprefix("size ") for item in model.metadata_props if item.key.startswith("size ")}
    axes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.input}
    fixed: dict[str, int] = {}
    for node in (graph.nodes[i] for i in graph.inputs):
        names = ["", *("" if isinstance(size, int) else size.symbol.name for size in node.shape)]
        for number, (name, axis) in enumerate(zip(names, axes.get(node.path, ()), strict=False)):
            if axis.HasField("dim_value") and (number == 0 or name in free):
                fixed.setdefault(name or "the batch", axis.dim_value)
    return tuple(f"{name} at {value}" for name, value in fixed.items())


def foreign_nodes(model: ModelProto, graph: Graph) -> tuple[str, ...]:
    """Return the names (or op types) of the nodes of the file that belong to no node of the graph and to no output."""
    paths = {path for node in graph.nodes for path in (node.path, node.written_path)} | {"output"}

    def belongs(name: str) -> bool:
        parts = name.split("/")
        return any("/".join(parts[:number]) in paths for number in range(1, len(parts) + 1))

    return tuple(node.name or node.op_type for node in model.graph.node if not belongs(node.name))


def _read(tensor: TensorProto, item: Initializer, folder: Path) -> Array:
    from onnx import numpy_helper

    try:
        array: Array = numpy_helper.to_array(tensor, base_dir=str(folder))
    except Exception as problem:  # onnx raises several types for a malformed tensor
        raise error("E0805", f"cannot read the tensor `{tensor.name[:80]}`: {str(problem)[:200]}") from None
    if array.dtype.name == "bfloat16":  # an extension of numpy, whose kind is not that of floats
        array = array.astype(np.float32)
    if array.dtype.kind != "f":
        raise error("E0805", f"the tensor `{tensor.name[:80]}` has no floating-point values")
    if not isinstance(item, Derived):
        return array
    if item.rows is not None:
        return array.reshape(-1, *item.shape[2:])[list(item.rows)].reshape(item.stored)
    return (array / np.float32(item.factor)).reshape(item.stored)
