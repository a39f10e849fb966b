"""Describe the shapes of a class in its docstring, in terms of the class's arguments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from archdsl.axes import axes_of, kind_of
from archdsl.backends.torch.class_arguments import formula
from archdsl.backends.torch.sharing import SharedClass
from archdsl.graph import Graph, Node
from archdsl.ops import Concat
from archdsl.shapes import at, concrete

MAX_WORDS = 70
"""Columns of a line of shapes, beyond which channels are abbreviated to C."""

_CHANNELS = r"\(N, ([^(),]|\([^()]*\))+,"
"""The channels of a shape with sizes; a formula of them may have brackets."""


def shape_words(shape: Sequence[object]) -> str:
    """Return a shape with the batch: `(N, 64, 56, 56)`."""
    return f"({', '.join(['N', *map(str, shape)])})"


def shapes(graph: Graph, shared: SharedClass, outputs: int | None) -> str:
    """Return `(N, 64, 56, 56) -> (N, 128, 28, 28)`: numbers that are equal in all blocks, else formulas of
    arguments."""
    first = shared.blocks[0]
    sources = [[graph.nodes[block.inputs[n]] for block in shared.blocks] for n in range(len(first.inputs))]
    results = [[graph.nodes[block.outputs[n]] for block in shared.blocks] for n in range(len(first.outputs))]
    before = ", ".join(_tensor_words(graph, shared, nodes, None) for nodes in sources)
    after = ", ".join(_tensor_words(graph, shared, nodes, sources[0]) for nodes in results[:outputs])
    words = f"{before} -> {after}"
    return words if len(words) <= MAX_WORDS else re.sub(_CHANNELS, "(N, C,", words)


def _tensor_words(graph: Graph, shared: SharedClass, nodes: Sequence[Node], received: Sequence[Node] | None) -> str:
    shapes = [concrete(node.shape) for node in nodes]
    axes = axes_of(shapes[0])
    if any(axes_of(shape) != axes for shape in shapes):
        return "(N, C, ...)"
    words = [_channel_words(graph, shared, nodes) or ("C" if received is None else "C'")]
    for axis, letter in enumerate(kind_of(shapes[0]).letters, 1):
        sizes = [shape[axis] for shape in shapes]
        if len(set(sizes)) == 1:
            words.append(str(sizes[0]))
        elif received is None or any(axes_of(node.shape) != axes for node in received):
            words.append(letter)
        else:
            words.append(_size_words(shared, letter, [at(node.shape[axis]) for node in received], sizes))
    return shape_words(words)


def _channel_words(graph: Graph, shared: SharedClass, nodes: Sequence[Node]) -> str:
    """Return a number of channels: a number, an argument, a formula of one, or a sum for a concat; empty if unknown."""
    column = tuple(at(node.shape[0]) for node in nodes)
    if len(set(column)) == 1:
        return str(column[0])
    options = [option for option in shared.options.items if option.use.role == "channels"]
    for option in options:
        if option.column == column:
            return option.name
    total = ""
    if all(isinstance(node.op, Concat) for node in nodes) and len({len(node.inputs) for node in nodes}) == 1:
        parts = [[graph.nodes[node.inputs[n]] for node in nodes] for n in range(len(nodes[0].inputs))]
        total = _sum_words([_channel_words(graph, shared, part) for part in parts])
        if re.fullmatch(r"[\w +*]+", total):
            return total
    for option in options:
        text = formula(option.column, column, "channels", divide=True)
        if text:
            return text.format(option.name)
    return total


def _sum_words(words: Sequence[str]) -> str:
    """Return `a + b2 + 96` or `2 * e`; empty if a part is unknown."""
    if not all(words):
        return ""
    number = sum(int(word) for word in words if word.isdigit())
    named = Counter(word for word in words if not word.isdigit())
    terms = [
        word if times == 1 else f"{times} * {word if word.isidentifier() else f'({word})'}"
        for word, times in named.items()
    ]
    return " + ".join([*terms, *([str(number)] if number else [])])


def _size_words(shared: SharedClass, letter: str, before: Sequence[int], after: Sequence[int]) -> str:
    """Return an output size in terms of the input size: `H`, `H / 2`, `2 * H`, `H / stride`, or else `H'`."""
    if list(before) == list(after):
        return letter
    for option in shared.options.items:
        steps = [step if isinstance(step, int) and step > 0 else 0 for step in option.column]
        if option.use.field == "stride" and all(
            step and -(-b // step) == a for b, a, step in zip(before, after, steps, strict=True)
        ):
            return f"{letter} / {option.name}"
    down, up = -(-before[0] // after[0]), after[0] // before[0]
    if down > 1 and all(-(-b // down) == a for b, a in zip(before, after, strict=True)):
        return f"{letter} / {down}"
    if up > 1 and all(b * up == a for b, a in zip(before, after, strict=True)):
        return f"{up} * {letter}"
    return f"{letter}'"
