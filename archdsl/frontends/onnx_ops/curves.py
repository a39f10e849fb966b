"""Activations that a file writes as several elementwise nodes: recognised by the numbers that they compute.

The nodes between a tensor and a later one that depends on nothing else are a function of one number. It is evaluated at
many points, and is an activation of the spec if it has that one's values: no form, order or constant is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import erf
from typing import Any

import numpy as np

from archdsl import ops
from archdsl.frontends.constants import constant_before, evaluated
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.state import ImportState, Unsupported
from archdsl.ops.base import Op

ELEMENTWISE = frozenset(
    "Abs Add Clip Div Erf Exp HardSigmoid HardSwish Log Max Min Mul Neg Pow Reciprocal Relu Sigmoid Softplus Sqrt Sub "
    "Tanh".split()
)
_MOST = 14
"""Nodes of an activation."""
_POINTS = np.concatenate([np.linspace(-12, 12, 193), [-40.0, -1e-3, 1e-3, 40.0]])


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


_CURVES: Sequence[tuple[Op, Callable[[Any], Any]]] = (
    (ops.Silu(), lambda x: x * _sigmoid(x)),
    (ops.HardSwish(), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    (ops.HardSigmoid(), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    (ops.Gelu(), lambda x: x / 2 * (1 + np.vectorize(erf)(x / 2**0.5))),
    (ops.Gelu(approximate=True), lambda x: x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))),
    (ops.Mish(), lambda x: x * np.tanh(np.logaddexp(0, x))),
    (ops.Softsign(), lambda x: x / (1 + np.abs(x))),
    (ops.Softplus(), lambda x: np.logaddexp(0, x)),
    (ops.Sigmoid(), _sigmoid),
)


def curve(state: ImportState, node: SourceNode) -> bool:
    """Whether the node is the first of several that are one activation, which is added."""
    tensors = {name for name in node.inputs if name and name not in state.constants}
    if len(tensors) != 1 or node.op_type not in ELEMENTWISE:
        return False
    (source,) = tensors
    if source not in state.views or all(_ends(state, name) for name in (source, node.outputs[0])):
        return False
    values, parents = {source: _POINTS}, {source: frozenset[int]()}
    found: tuple[Op, str, frozenset[int]] | None = None
    for index in _followers(state, source, values):
        inner = state.model.nodes[index]
        try:
            output = _computed(state, index, values)
        except Unsupported:
            continue
        members = frozenset({index}).union(*(parents[name] for name in inner.inputs if name in parents))
        values[inner.outputs[0]], parents[inner.outputs[0]] = output, members
        if len(members) > 1 and state.index in members and _closed(state, members, inner.outputs[0]):
            op = next((op for op, f in _CURVES if np.allclose(output, f(_POINTS), rtol=2e-6, atol=1e-6)), None)
            found = found if op is None else (op, inner.outputs[0], members)
    if found is None:
        return False
    op, last, members = found
    state.consumed |= members - {state.index}
    state.add(node, op, last, inputs=[source], axes=state.view(source).axes)
    return True


def _ends(state: ImportState, name: str) -> bool:
    """Whether at most one node reads a tensor, and that one is not elementwise."""
    readers = state.readers.get(name, ())
    return len({*readers}) < 2 and not any(
        state.model.nodes[i].op_type in ELEMENTWISE for i in readers if i != state.index
    )


def _followers(state: ImportState, source: str, values: dict[str, Array]) -> Any:
    """The indices of elementwise nodes from the current one on that read these values, while more are computed."""
    done: set[int] = set()
    while len(done) < _MOST:
        waiting = {i for name in values for i in state.readers.get(name, ()) if i >= state.index}
        ready = [
            index
            for index in sorted(waiting - done - state.consumed)
            if state.model.nodes[index].op_type in ELEMENTWISE and _is_function(state, index, values)
        ]
        if not ready:
            return
        done.add(ready[0])
        yield ready[0]


def _is_function(state: ImportState, index: int, values: dict[str, Array]) -> bool:
    """Whether a node reads nothing but these values and constants of one number."""
    inputs = [name for name in state.model.nodes[index].inputs if name and name not in values]
    return all((array := constant_before(state, index, name)) is not None and array.size == 1 for name in inputs)


def _computed(state: ImportState, index: int, values: dict[str, Array]) -> Array:
    node = state.model.nodes[index]
    rank = len(state.view(next(iter(values))).axes) + 1
    arrays = {}
    for name in filter(None, node.inputs):
        constant = state.constants.get(name)
        if constant is not None and constant.ndim > rank:
            raise Unsupported("its constant adds axes")
        arrays[name] = values[name] if constant is None else constant.astype(np.float64).reshape(())
    with np.errstate(all="ignore"):
        return evaluated(node, arrays).astype(np.float64)


def _closed(state: ImportState, members: frozenset[int], last: str) -> bool:
    """Whether only nodes of the activation read what they compute, but for its last tensor."""
    inner = {name for index in members for name in state.model.nodes[index].outputs} - {last}
    with suppress(KeyError):
        return not inner & {*state.model.outputs} and all({*state.readers[name]} <= members for name in inner)
    return False
