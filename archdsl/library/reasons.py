"""Probable reasons why a published figure differs: the other ways in which papers and tools count.

Each way gives a number for the graph. It is reported only if the claim agrees with that number at the precision of the
claim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from math import prod
from typing import NamedTuple

from archdsl.axes import axes_of
from archdsl.graph import Graph, Node
from archdsl.library.claims import OR, Verdict, agrees, amount, is_truncated
from archdsl.ops import Conv, Deconv, Fc, Pool
from archdsl.ops.base import OpError
from archdsl.shapes import Shape, at, concrete, format_shape, numel

SIZES = (
    224,
    227,
    299,
    256,
    260,
    320,
    331,
    240,
    288,
    300,
    380,
    384,
    456,
    480,
    512,
    528,
    600,
    192,
    160,
    128,
    96,
    64,
    32,
    28,
    112,
    1000,
    2500,
    4096,
    5000,
)
"""Sizes, the same on each axis, that networks are published for, the most common first."""
CLASSES = (1000, 1001, 10, 100, 21_841, 2)
"""Widths of the last layer: ImageNet without and with a background class, CIFAR-10, CIFAR-100, ImageNet-21k, binary."""


class Recount(NamedTuple):
    """The result of another way of counting, and a description of that way."""

    value: int
    description: str


def likely(verdict: Verdict, graph: Graph) -> str:
    """Return a description of the ways of counting that give the claimed number, joined by `OR`; empty if none does."""
    if verdict.true is None or verdict.holds:
        return ""
    text, true = verdict.claim.text, verdict.true
    if is_truncated(text, true):
        return f"{true:,} truncated instead of rounded"
    recounts = _RECOUNTS[verdict.claim.name](graph, true)
    if verdict.claim.name == "macs":
        recounts = chain(recounts, _of_sizes(graph, amount(text) / max(true, 1)))
    known = [recount for recount in recounts if recount.value != true]
    fitting: dict[str, str] = {}
    for recount in known:
        if agrees(text, recount.value):  # of several sizes or numbers of classes, the most common
            kind = re.sub(r"\d[\d,x]*", "", recount.description)
            fitting.setdefault(kind, f"{recount.description}: {recount.value:,}")
    if fitting:
        return OR.join(fitting.values())
    if _in_binary(text, true):
        return "in units of 2^10, 2^20 or 2^30"
    cut = next((recount for recount in known if is_truncated(text, recount.value)), None)
    return f"{cut.description}: {cut.value:,}, truncated instead of rounded" if cut else ""


def _in_binary(text: str, true: int) -> bool:
    unit = next((n for n, letter in ((1, "kK"), (2, "M"), (3, "GB")) if text.rstrip()[-1:] in letter), 0)
    return unit > 0 and agrees(text, true * 1000**unit // 1024**unit)


# --- params ------------------------------------------------------------------------------------------------


def _of_params(graph: Graph, true: int) -> Iterator[Recount]:
    run = [node for node in graph.nodes if not node.training]
    with_aux = sum(p.numel for n in graph.nodes for p in n.params if p.trained)
    statistics = sum(p.numel for n in run for p in n.params if p.name.startswith("running_"))
    norms = sum(p.numel for n in run if n.op.role == "norm" for p in n.params if p.trained)
    biases = sum(p.numel for n in run if _weighted(n) for p in n.params if p.name == "bias" and p.trained)
    absent = sum(at(n.shape[0]) for n in run if isinstance(n.op, Conv) and n.op.bias is False)
    yield Recount(with_aux, "with the auxiliary heads")
    yield from _with_unfit(graph, with_aux)
    yield Recount(_aux_params(graph), "of the auxiliary heads only")
    yield Recount(true + statistics, "with the running statistics of batch norm")
    yield Recount(true - biases, "without the biases")
    yield Recount(true - norms, "without the parameters of norms")
    yield Recount(true - norms - biases, "weights only, without biases and norms")
    yield Recount(true + absent, "with a bias in every convolution, also before batch norm")
    yield from _of_last(graph, run, true)
    yield Recount(true + _ungrouped(run), "without groups")
    yield Recount(4 * true, "the bytes of its float32 weights")


def _aux_params(graph: Graph) -> int:
    return sum(p.numel for n in graph.nodes if n.training for p in n.params if p.trained)


def _with_unfit(graph: Graph, params: int) -> Iterator[Recount]:
    """With the auxiliary heads that need a larger input, too."""
    if graph.unfit_params:
        names = ", ".join(f"`{name}`" for name in graph.unfit_heads)
        yield Recount(params + graph.unfit_params, f"with the auxiliary heads that need a larger input, {names}")


def _of_last(graph: Graph, run: list[Node], true: int) -> Iterator[Recount]:
    """Without the last layer, or for another number of classes if the network has one class per input."""
    last = next((n for n in reversed(run) if isinstance(n.op, (Fc, Conv))), None)
    if last is None:
        return
    own, classes = sum(p.numel for p in last.params if p.trained), at(last.shape[0])
    dense = sum(p.numel for n in run if isinstance(n.op, Fc) for p in n.params if p.trained)
    yield Recount(true - own, f"without the last layer, `{last.path}`")
    yield Recount(true - dense, "of the convolutions only")
    pixels = any({*concrete(graph.nodes[i].shape)[1:]} - {1} for i in graph.outputs.values())
    for other in () if pixels else CLASSES:
        yield Recount(true + own // classes * (other - classes), f"with {other:,} classes")


def _ungrouped(run: list[Node]) -> int:
    """The additional weights of grouped convolutions if they had no groups; depthwise ones stay."""
    return sum(
        (n.op.groups - 1) * sum(p.numel for p in n.params if p.name == "weight")
        for n in run
        if isinstance(n.op, Conv) and not _depthwise(n)
    )


def _of_params_with_aux(graph: Graph, true: int) -> Iterator[Recount]:
    yield Recount(true - _aux_params(graph), "without the auxiliary heads")
    yield from _with_unfit(graph, true)


# --- macs --------------------------------------------------------------------------------------------------


def _of_macs(graph: Graph, true: int) -> Iterator[Recount]:
    run = graph.running
    biased = [n for n in run if _weighted(n) and any(p.name == "bias" for p in n.params)]
    dense = sum(n.macs for n in run if isinstance(n.op, Fc))
    elements = sum(numel(n.shape) for n in run if n.inputs and n.op.stored and not _weighted(n))
    heads = sum(n.macs for n in graph.nodes if n.training and n.id not in graph.unread)
    wide = sum((n.op.groups - 1) * n.macs for n in run if isinstance(n.op, Conv) and not _depthwise(n))
    yield Recount(2 * true, "FLOPs, two per MAC")
    yield Recount(true - dense, "of the convolutions only")
    yield Recount(true + heads, "with the auxiliary heads")
    yield Recount(true + sum(numel(n.shape) for n in biased), "with the bias additions")
    yield Recount(true + elements, "with one operation per output element of norms, activations, pools and sums")
    yield Recount(true + wide, "without groups")


def _of_sizes(graph: Graph, ratio: float) -> Iterator[Recount]:
    """For an input of other sizes, as far as it may have `ratio` times the MACs."""
    shapes = [concrete(graph.nodes[i].shape) for i in graph.inputs]
    if len(shapes) != 1 or not axes_of(shapes[0]):
        return
    own = shapes[0][1:]
    for side in SIZES:
        sizes = (side,) * len(own)
        # MACs grow with the area or volume, apart from rounding at the borders and layers on vectors.
        close = 0.6 < ratio / (prod(sizes) / prod(own)) < 1.6
        macs = macs_at(graph, sizes) if close and sizes != own else None
        if macs is not None:
            yield Recount(macs, f"for an input of {format_shape(sizes)}")


def macs_at(graph: Graph, sizes: tuple[int, ...]) -> int | None:
    """Return the MACs for an input of other sizes; None if a layer does not accept them.

    The same ops are inferred again, which takes a tenth of the time of elaborating the spec for this size.
    """
    shapes: list[Shape] = []
    macs = 0
    for node in graph.nodes:
        inputs = tuple(shapes[i] for i in node.inputs)
        if node.training:
            shapes.append(node.shape)
            continue
        try:
            shapes.append(node.op.infer(inputs) if inputs else (node.shape[0], *sizes))
        except OpError:
            return None
        macs += 0 if node.id in graph.unread else node.op.macs(inputs, shapes[-1])
    return macs


# --- depth -------------------------------------------------------------------------------------------------


def _of_depth(graph: Graph, true: int) -> Iterator[Recount]:
    run = [node for node in graph.nodes if not node.training]
    convs = sum(isinstance(n.op, (Conv, Deconv)) for n in run)
    dense = sum(isinstance(n.op, Fc) for n in run)
    on_path = _longest(graph, lambda n: isinstance(n.op, (Conv, Deconv)))
    pools = _longest(graph, lambda n: _weighted(n) or isinstance(n.op, Pool))
    yield Recount(
        _longest(graph, lambda n: _weighted(n) and not _gate(n, graph)), "without the gates of squeeze-and-excitation"
    )
    yield Recount(on_path, "convolutions only, on the longest path")
    yield Recount(pools, "with pools, on the longest path")
    yield Recount(_longest(graph, lambda n: _weighted(n) and not _depthwise(n)), "without the depthwise convolutions")
    yield Recount(convs + dense, "all layers with weights, also parallel ones")
    yield Recount(convs, "all convolutions, also parallel ones")
    yield Recount(len([n for n in run if n.inputs]), "all nodes: also norms, activations and sums")


def _longest(graph: Graph, counts: Callable[[Node], bool]) -> int:
    longest: list[int] = []
    for node in graph.nodes:
        longest.append(max((longest[i] for i in node.inputs), default=0) + counts(node))
    return max((longest[i] for i in graph.outputs.values()), default=0)


def _gate(node: Node, graph: Graph) -> bool:
    """Whether a convolution reads one value per channel and is no output of the network: part of a
    squeeze-and-excitation."""
    ends = {graph.nodes[i].path.partition("/")[0] for i in graph.outputs.values()}
    return isinstance(node.op, Conv) and set(node.in_shapes[0][1:]) == {1} and node.path not in ends


def _depthwise(node: Node) -> bool:
    return isinstance(node.op, Conv) and node.op.groups == at(node.in_shapes[0][0]) > 1


def _weighted(node: Node) -> bool:
    return isinstance(node.op, (Conv, Deconv, Fc))


_RECOUNTS: dict[str, Callable[[Graph, int], Iterator[Recount]]] = {
    "params": _of_params,
    "params_with_aux": _of_params_with_aux,
    "macs": _of_macs,
    "depth": _of_depth,
}
