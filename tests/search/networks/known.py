"""Bugs that archdsl once had, put back: the random networks must find each of them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from archdsl import ops
from archdsl.backends.onnx import lower as onnx_lower
from archdsl.backends.torch import module as torch_module
from archdsl.backends.torch import program as torch_program
from archdsl.backends.torch.steps import Call
from archdsl.ops import norm
from archdsl.ops.base import POINT
from tests.search.networks.planted import Bug, method, together


def _some_axes(right: Callable[..., Any], e: Any, x: str, what: str, pads: Any, value: float) -> tuple[str, ...]:
    if pads[1] or pads[5]:
        return right(e, x, what, pads, value)
    spatial = (*pads[2:4], *pads[6:8])
    return x, e.ints(what, spatial), e.floats("value", value), e.ints(f"{what}_axes", (2, 3))


def _joins_too(right: Callable[..., Any], builder: Any, step: Any) -> bool:
    joins = isinstance(step.expr, Call) and step.expr.target == "torch.cat"
    return right(builder, step) or (joins and builder.graph.nodes[step.outputs[0]].implied)


KNOWN = [
    Bug("onnx: a pad lists the axes that it changes", "pad", method(onnx_lower, "_pad_inputs", _some_axes)),
    Bug(
        "torch: a concat moves before the dropouts that lead to it",
        "drop",
        together(
            method(torch_program._Builder, "_is_flatten", _joins_too),
            lambda: patch.object(torch_program, "pairwise", lambda chain: ()),
        ),
    ),
    Bug("ops: a crop may leave nothing before other sides add", "pad", method(ops.Pad, "_cut", lambda *args: ())),
    Bug("ops: a group norm reads one pixel", "gn", method(norm.Norm, "window", lambda *args: POINT), every=True),
    Bug(
        "torch: a module on meta is in training mode",
        "",
        method(torch_module, "build", lambda right, *args: right(*args).train()),
        every=True,
    ),
]
