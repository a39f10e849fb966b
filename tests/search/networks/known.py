"""Bugs that archdsl once had, put back: the random networks must find each of them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from archdsl import ops
from archdsl.backends.onnx.rules import reshape as onnx_reshape
from archdsl.backends.torch import module as torch_module
from archdsl.backends.torch import program as torch_program
from archdsl.backends.torch.steps import Call
from archdsl.differences import compare
from archdsl.elaborate.place import LeftOut
from archdsl.elaborate.references import resolve
from archdsl.elaborate.walk import Walker
from archdsl.graph import Graph
from archdsl.language import overlay
from archdsl.ops import norm
from archdsl.ops.base import POINT
from tests.search.networks.planted import Bug, method, together


def _some_axes(right: Callable[..., Any], e: Any, x: str, what: str, pads: Any, value: float | None) -> tuple[str, ...]:
    half = len(pads) // 2
    if value is None or pads[1] or pads[half + 1]:
        return right(e, x, what, pads, value)
    spatial = (*pads[2:half], *pads[half + 2 :])
    return x, e.ints(what, spatial), e.floats("value", value), e.ints(f"{what}_axes", tuple(range(2, half)))


def _in_all(right: Callable[..., Any], pad: Any, begin: int, end: int) -> Any:
    return max(-begin - end, 0) + 1 if pad.mode == "constant" else right(pad, begin, end)


def _joins_too(right: Callable[..., Any], builder: Any, step: Any) -> bool:
    joins = isinstance(step.expr, Call) and step.expr.target == "torch.cat"
    return right(builder, step) or (joins and builder.graph.nodes[step.outputs[0]].implied)


def _with_implied_names(right: Callable[..., Any], graph: Graph) -> Any:
    return right(graph), tuple(node.path for node in graph.nodes)


def _resolved(right: Callable[..., Any], walker: Any, syntax: Any, cursor: int, ctx: Any) -> Any:
    for source in syntax.sources or ():
        resolve(walker.builder, source, ctx.frame)
    return right(walker, syntax, cursor, ctx)


def _last(right: Callable[..., Any], base: Any, over: Any, combine: Any) -> Any:
    return overlay._merged(base, over, combine)


KNOWN = [
    Bug("onnx: a pad lists the axes that it changes", "ln", method(onnx_reshape, "pad_inputs", _some_axes), every=True),
    Bug(
        "torch: a concat moves before the dropouts that lead to it",
        "drop",
        together(
            method(torch_program._Builder, "_is_flatten", _joins_too),
            lambda: patch.object(torch_program, "pairwise", lambda chain: ()),
        ),
    ),
    Bug("ops: a crop may leave nothing before other sides add", "pad", method(ops.Pad, "_needed", _in_all)),
    Bug("ops: a group norm reads one pixel", "gn", method(norm.Norm, "window", lambda *args: POINT), every=True),
    Bug(
        "torch: a module on meta is in training mode",
        "",
        method(torch_module, "build", lambda right, *args: right(*args).train()),
        every=True,
    ),
    Bug(
        "differences: implied nodes have names of their own",
        "",
        method(compare, "identity", _with_implied_names),
        every=True,
    ),
    Bug(
        "elaborate: the node before a left-out one stands for it",
        "when",
        method(Walker, "_left_out", lambda right, walker, syntax, cursor, ctx: LeftOut(cursor)),
    ),
    Bug("elaborate: what a left-out node reads must exist", "when", method(Walker, "_left_out", _resolved)),
    Bug("language: new nodes of a variant go last", "", method(overlay, "_in_order", _last)),
    Bug("analysis: nodes that nothing reads are work", "", lambda: patch.object(Graph, "unread", frozenset())),
]
