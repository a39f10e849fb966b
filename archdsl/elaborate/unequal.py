"""Says what makes the inputs of a merge equal: another input size, padding of even windows, a vector with axes.

Each proposal is computed: the network is elaborated again at the other input size, or shapes are inferred again with
the padding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import lcm
from typing import Any, NamedTuple, TypeAlias

from archdsl.axes import axes_of, kind_of, listed
from archdsl.graph import FreeSize, Node
from archdsl.ops import Fc
from archdsl.ops.base import Op, OpError
from archdsl.ops.conv import Conv, reach_of
from archdsl.ops.merge import Concat, Elementwise
from archdsl.ops.pool import Pool
from archdsl.ops.reshape import Flatten, Input
from archdsl.shapes import Dim, Inexpressible, Pads, Shape, Size, Symbol, at, concrete

MAX_TRIALS = 6
MAX_PERIOD = 4096
"""The largest step between input sizes that is searched."""
PINNED_PERIOD = 32
"""The step that is tried if sizes have no closed form: five halvings."""
MAX_NAMED, MAX_TEXT = 4, 200


class Unequal(NamedTuple):
    """Two sizes that a merge joins, along one axis, and that differ."""

    axis: int
    a: Size
    b: Size


class Trial(NamedTuple):
    """The network at other input sizes: its legal sizes if all merges fit, and the sizes that differ."""

    sizes: tuple[FreeSize, ...] | None
    unequal: Sequence[Unequal]


Resize: TypeAlias = Callable[[Mapping[str, int]], Trial]
"""Elaborates the network again, at other sizes of its input, by name."""


def unequal(shapes: Sequence[Shape]) -> list[Unequal]:
    """Return the sizes of the inputs of a merge that differ, in pairs."""
    first, *others = shapes
    pairs = ((axis, *pair) for other in others for axis, pair in enumerate(zip(first[1:], other[1:], strict=False)))
    return [Unequal(*pair) for pair in pairs if at(pair[1]) != at(pair[2])]


def remedy(
    nodes: Sequence[Node], inputs: Sequence[int], op: Op | None, resize: Resize | None, symbols: Sequence[Symbol]
) -> str:
    """Return what makes the inputs of a merge equal; empty if nothing is known.

    `op`: the merge; None if a projection follows the padding, which needs equal sizes only. `symbols`: the sizes of the
    inputs of the network, also the pinned ones.
    """
    shapes = [nodes[i].shape for i in inputs]
    if len({axes_of(shape) for shape in shapes}) > 1:
        return _with_axes(nodes, inputs, op)
    differ = unequal(shapes)
    if not differ or (isinstance(op, Elementwise) and op.full(shapes) is not None):  # the op's help has `broadcast`
        return ""
    texts = [_padded(nodes, inputs, op)]
    if resize is not None:
        texts.insert(0, _resized(differ, resize, symbols))
    return "; ".join(filter(None, texts))


# --- another input size --------------------------------------------------------------------------------------


def _resized(differ: Sequence[Unequal], resize: Resize, symbols: Sequence[Symbol]) -> str:
    """The input sizes near the written ones at which all merges of the network fit, as text."""
    pairs, pinned, tried = list(differ), set[Symbol](), list[Mapping[str, int]]()
    for _ in range(MAX_TRIALS):
        by_symbol: dict[Symbol, list[Unequal]] = {}
        for pair in pairs:
            symbol = _symbol(pair, symbols)
            if symbol is None:
                return ""
            by_symbol.setdefault(symbol, []).append(pair)
            pinned |= {symbol} if isinstance(pair.a, int) and isinstance(pair.b, int) else set()
        values = {symbol.name: _candidate(symbol, known, tried) for symbol, known in by_symbol.items()}
        chosen = {name: value for name, value in values.items() if value is not None}
        if len(chosen) < len(values):
            return ""
        tried.append(chosen)
        trial = resize(chosen)
        if trial.sizes is not None:
            return _sizes_text(trial.sizes, chosen, {symbol.name: symbol.default for symbol in by_symbol})
        pairs += trial.unequal
    return ""


def _symbol(pair: Unequal, symbols: Sequence[Symbol]) -> Symbol | None:
    """The input size on which both sizes depend; of numbers, that of their axis, if the network has one input."""
    free = {size.symbol.name for size in (pair.a, pair.b) if isinstance(size, Dim)}
    if len(free) == 1:
        return next((symbol for symbol in symbols if symbol.name in free), None)
    return symbols[pair.axis] if not free and len(symbols) > pair.axis and len({s.name for s in symbols}) <= 3 else None


def _candidate(symbol: Symbol, known: Sequence[Unequal], tried: Sequence[Mapping[str, int]]) -> int | None:
    """The next input size at which all known pairs are equal: a multiple of their period, or else the nearest."""
    formulas = [(a, b) for _, a, b in known if isinstance(a, Dim) or isinstance(b, Dim)]
    period = lcm(*(size.q for pair in formulas for size in pair if isinstance(size, Dim)))
    if len(formulas) < len(known):
        period = lcm(period, PINNED_PERIOD)
    if period > MAX_PERIOD:
        return None
    before = {values.get(symbol.name) for values in tried}
    near = range(max(1, symbol.default - period), symbol.default + period + 1)
    for value in sorted(near, key=lambda v: (v % period != 0, abs(v - symbol.default))):
        at_value = {symbol.name: value}
        if value in before or value == symbol.default or (value % period and len(formulas) < len(known)):
            continue
        if all(at(a, at_value) == at(b, at_value) for a, b in formulas):
            return value
    return None


def _sizes_text(sizes: Sequence[FreeSize], chosen: Mapping[str, int], before: Mapping[str, int]) -> str:
    rules: dict[tuple[str, str], list[str]] = {}
    for size in sizes:
        if size.name not in chosen:
            continue
        value, step = chosen[size.name], size.step
        rest = value % step
        if size.pinned or step == 1:
            rule = (f"is {value}", f"are {value}")
        else:
            low = before[size.name] - (before[size.name] - value) % step
            near = ", e.g. " + " or ".join(str(n) for n in (low, low + step) if n >= size.minimum)
            more = f"{rest} more than a multiple of {step}"
            rule = (f"is {more}", f"are {more}") if rest else (f"is a multiple of {step}", f"are multiples of {step}")
            rule = (rule[0] + near, rule[1] + near)
        rules.setdefault(rule, []).append(size.name)
    each = [f"{listed(names)} {many if names[1:] else one}" for (one, many), names in rules.items()]
    return f"the sizes agree if {', and '.join(each)}"


# --- padding -------------------------------------------------------------------------------------------------


def _padded(nodes: Sequence[Node], inputs: Sequence[int], op: Op | None) -> str:
    """The padding that makes the sizes equal, for windows that have none."""
    chains = [_chain(nodes, i) for i in dict.fromkeys(inputs)]
    shared = set.intersection(*map(set, chains))
    own = [[i for i in chain if i not in shared] for chain in chains]
    pads = {i: pads for chain in own for i in chain if (pads := _missing_pads(nodes[i])) is not None}
    if not pads or not _fits(nodes, own, [nodes[i].shape for i in dict.fromkeys(inputs)], op, pads):
        return ""
    texts: dict[str, list[str]] = {}
    for i, pad in pads.items():
        number = str(pad[0]) if len(set(pad)) == 1 else f"[{','.join(map(str, pad))}]"
        names = texts.setdefault(f"`pad={number}`", [])
        if f"`{nodes[i].written_path}`" not in names:
            names.append(f"`{nodes[i].written_path}`")
    names = [name for group in texts.values() for name in group]
    if len(names) > MAX_NAMED:
        return ""
    how = listed([f"{pad} on {listed(group)}" for pad, group in texts.items()])
    if len(texts) == 1:
        how = next(iter(texts))
    same = dict.fromkeys(pads, "same")
    steps = {step for i in pads for step in _steps(nodes[i].op)}
    if steps == {1} and _fits(nodes, own, [nodes[i].shape for i in dict.fromkeys(inputs)], op, same):
        how += ", or `pad=same`,"
    return f"{listed(names)} {'has' if not names[1:] else 'have'} no padding: {how} makes the sizes equal"


def _chain(nodes: Sequence[Node], node: int) -> list[int]:
    """The nodes that lead to a node one after the other, up to a node with several inputs or none."""
    chain = []
    while len(nodes[node].inputs) == 1:
        chain.append(node)
        node = nodes[node].inputs[0]
    return [node, *reversed(chain)]


def _missing_pads(node: Node) -> Pads | None:
    """The padding that would keep the size at stride 1, of an even window that has none by default, or of a pool."""
    op = node.op
    unpadded = op.pad is None if isinstance(op, Conv) else isinstance(op, Pool) and op.pad == 0
    if not unpadded or node.shared_with or not isinstance(op, (Conv, Pool)):
        return None
    if isinstance(op, Pool) and ({*op.steps} != {1} or getattr(op, "adaptive", False)):
        return None
    dilation = op.dilation if isinstance(op, Conv) else op.dilations
    surplus = [size - 1 for size in reach_of(op.kernel, dilation)]
    pads = Pads.of([size // 2 for size in surplus], [size - size // 2 for size in surplus])
    known = op.pads(concrete(node.in_shapes[0]))
    return pads if pads != known else None


def _steps(op: Any) -> tuple[int, ...]:
    return tuple(op.steps if isinstance(op, Pool) else op.stride)


def _fits(
    nodes: Sequence[Node],
    chains: Sequence[Sequence[int]],
    shapes: Sequence[Shape],
    op: Op | None,
    pads: Mapping[int, Any],
) -> bool:
    """Whether the merge has an output if these nodes have this padding; of a residual, whether the sizes agree."""
    results = []
    try:
        for chain, shape in zip(chains, shapes, strict=True):
            result = concrete(shape)
            first = next((n for n, i in enumerate(chain) if i in pads), len(chain))
            for number, i in enumerate(chain[first:]):
                part = nodes[i].op
                changed = part.model_copy(update={"pad": _plain(pads[i])}) if i in pads else part
                start = concrete(nodes[i].in_shapes[0]) if number == 0 else result
                result = concrete(changed.infer([start]))
            results.append(result)
        if op is not None:
            op.infer(results)
    except (OpError, Inexpressible):
        return False
    return op is not None or len({shape[1:] for shape in results}) == 1


def _plain(pad: Any) -> Any:
    return tuple(pad) if isinstance(pad, Pads) else pad


# --- vectors -------------------------------------------------------------------------------------------------


def _with_axes(nodes: Sequence[Node], inputs: Sequence[int], op: Op | None) -> str:
    """How a gate that is a vector keeps the axes, or what makes all inputs of a concat vectors."""
    shapes = [nodes[i].shape for i in inputs]
    kinds = {axes_of(shape) for shape in shapes}
    if 0 not in kinds or len(kinds) > 2:
        return ""
    if isinstance(op, Concat):
        spatial = [f"`{nodes[i].written_path}`" for i in dict.fromkeys(inputs) if axes_of(nodes[i].shape)]
        return f"`concat` joins vectors: write a `flatten`, or a `gap` and a `flatten`, after {listed(spatial)}"
    whole = next(shape for shape in shapes if axes_of(shape))
    if op is None:
        return ""
    assert isinstance(op, Elementwise)
    parts = [_gate(nodes, i, whole) for i in dict.fromkeys(inputs) if not axes_of(nodes[i].shape)]
    if None in parts and not op.spreads:
        return f"`{op.name}` does not broadcast a vector: its inputs have the same axes"
    if None in parts:
        return f"a gate of {kind_of(whole).noun} is {kind_of(whole).gate}, with its {at(whole[0])} channels"
    broadcast = [] if op.spreads else [f"`{op.name} broadcast`"]
    return "a gate keeps its axes: write " + listed([*(part for part in parts if part is not None), *broadcast])


def _gate(nodes: Sequence[Node], node: int, whole: Shape) -> str | None:
    """What to write so that a vector is a gate; None if its values are not as many as the channels."""
    if at(nodes[node].shape[0]) != at(whole[0]):
        return None
    window, parts = kind_of(whole).window(1), []
    while True:
        here = nodes[node]
        if isinstance(here.op, Fc) and here.op.kernel is None:
            written = re.fullmatch(r"fc\s+([^<\n]*?)\s*(?:<-.*|when\s.*)?", here.origin.span.text[:MAX_TEXT])
            text = f"{window} conv {written[1] if written else here.op.out}"
            parts.append(f"`{text}` for `{here.written_path}`")
        if isinstance(here.op, Input):
            size = "x".join(map(str, (at(here.shape[0]), *[1] * axes_of(whole))))
            return listed([f"`{here.path}: {size}` as the input", *reversed(parts)])
        if isinstance(here.op, Flatten) and not here.implied:
            return None
        if len(here.inputs) != 1 or (axes_of(here.shape) and {*map(at, here.shape[1:])} != {1}):
            return None
        if axes_of(here.shape):
            return listed([*reversed(parts)]) if parts else None
        node = here.inputs[0]
