"""Slices that together cover all channels of a value, as one Split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from archdsl.backends.onnx.records import Constant, Initializer, OnnxNode


def joined(
    nodes: Sequence[OnnxNode], initializers: dict[str, Initializer], channels: Mapping[str, int]
) -> list[OnnxNode]:
    """Return the nodes with a Split in place of several Slices of one value that cover each channel exactly once.

    `channels` gives the number of channels of each value. The Split replaces the first Slice and has its name; values
    keep their names. Adds the sizes to `initializers`, and removes the constants that no node reads any more.
    """
    cuts: dict[str, list[tuple[int, int, OnnxNode]]] = {}
    for node in nodes:
        if node.op_type == "Slice" and node.inputs[0] in channels:
            start, end = (_number(initializers[name]) for name in node.inputs[1:3])
            cuts.setdefault(node.inputs[0], []).append((start, end, node))
    whole = {
        source: sorted(pieces, key=lambda cut: cut[:2])
        for source, pieces in cuts.items()
        if _whole(pieces, channels[source])
    }
    result: list[OnnxNode] = []
    for node in nodes:
        pieces = whole.get(node.inputs[0] if node.inputs else "", []) if node.op_type == "Slice" else []
        if not pieces:
            result.append(node)
        elif node is cuts[node.inputs[0]][0][2]:
            sizes = _sizes(node, tuple(end - start for start, end, _ in pieces), initializers)
            outputs = tuple(piece.outputs[0] for _, _, piece in pieces)
            result.append(
                replace(node, op_type="Split", inputs=(node.inputs[0], sizes), outputs=outputs, attributes={"axis": 1})
            )
    if whole:
        drop_unread(result, initializers)
    return result


def _number(item: Initializer) -> int:
    assert isinstance(item, Constant)
    return int(item.values[0])


def _whole(pieces: Sequence[tuple[int, int, OnnxNode]], channels: int) -> bool:
    spans = sorted((start, end) for start, end, _ in pieces)
    ends = [0, *(end for _, end in spans)]
    return len(spans) > 1 and [start for start, _ in spans] == ends[:-1] and ends[-1] == channels


def _sizes(node: OnnxNode, sizes: tuple[int, ...], initializers: dict[str, Initializer]) -> str:
    return shared(Constant(f"{node.name}/sizes", (len(sizes),), sizes, "int64"), initializers)


def shared(item: Constant, initializers: dict[str, Initializer]) -> str:
    """Return the name of a constant with the values of `item`, which is added to `initializers` if there is none."""
    known = next(
        (k.name for k in initializers.values() if isinstance(k, Constant) and replace(k, name=item.name) == item), None
    )
    if known is None:
        initializers[item.name] = item
    return known or item.name


def drop_unread(nodes: Sequence[OnnxNode], initializers: dict[str, Initializer]) -> None:
    """Remove the initializers that no node reads."""
    read = {name for node in nodes for name in node.inputs}
    for name in [name for name in initializers if name not in read]:
        del initializers[name]
