"""Import rules of activations, and of constants that are added or multiply."""

from __future__ import annotations

from collections.abc import Callable

from archdsl import ops
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.state import ImportRule, ImportState, Unsupported, single
from archdsl.ops.base import LARGEST, Op
from archdsl.shapes import concrete


def act(make: Callable[[SourceNode], Op]) -> ImportRule:
    return lambda state, node: state.add(node, make(node), node.outputs[0])


def attribute(node: SourceNode, name: str, default: float) -> float:
    return single(node.attributes.get(name, default))


def clip(state: ImportState, node: SourceNode) -> None:
    low, high = (
        node.attributes.get(name) if (limit := state.constant(node, number)) is None else float(limit)
        for number, name in enumerate(("min", "max"), 1)
    )
    if (low, high) == (0.0, 6.0):
        state.add(node, ops.Relu6(), node.outputs[0])
    elif low == 0.0 and high is None:
        state.add(node, ops.Relu(), node.outputs[0])
    else:
        least, most = (LARGEST * sign if limit is None else single(limit) for limit, sign in ((low, -1), (high, 1)))
        state.add(node, ops.Clip(low=max(least, -LARGEST), high=min(most, LARGEST)), node.outputs[0])


def gated(gate: Op, whole: Op) -> ImportRule:
    """`gate(x)`; or `whole`, which is `x * gate(x)`, if that product alone reads the gate."""

    def rule(state: ImportState, node: SourceNode) -> None:
        reader = state.only_reader(node.outputs[0], "Mul")
        factors = {state.value(node.inputs[0]), node.outputs[0]}
        if reader is not None and {state.value(name) for name in reader[1].inputs} == factors:
            state.consumed.add(reader[0])
            state.add(node, whole, reader[1].outputs[0])
        else:
            state.add(node, gate, node.outputs[0])

    return rule


def hardsigmoid(state: ImportState, node: SourceNode) -> None:
    alpha, beta = attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)
    if abs(alpha - 1 / 6) <= 1e-6 and beta == 0.5:
        gated(ops.HardSigmoid(), ops.HardSwish())(state, node)
    else:
        state.add(node, ops.HardSigmoid(alpha=alpha, beta=beta), node.outputs[0])


def selu(state: ImportState, node: SourceNode) -> None:
    alpha, gamma = node.attributes.get("alpha", 1.67326), node.attributes.get("gamma", 1.0507)
    if abs(alpha - 1.67326) > 1e-4 or abs(gamma - 1.0507) > 1e-4:
        raise Unsupported("its constants are not those of the paper")
    state.add(node, ops.Selu(), node.outputs[0])


def softplus(state: ImportState, node: SourceNode) -> None:
    """A softplus; or, with the Tanh and the Mul after it, a mish."""
    tanh = state.only_reader(node.outputs[0], "Tanh")
    product = state.only_reader(tanh[1].outputs[0], "Mul") if tanh is not None else None
    if tanh is not None and product is not None:
        factors = {state.value(node.inputs[0]), tanh[1].outputs[0]}
        if {state.value(name) for name in product[1].inputs} == factors:
            state.consumed.update((tanh[0], product[0]))
            state.add(node, ops.Mish(), product[1].outputs[0])
            return
    state.add(node, ops.Softplus(), node.outputs[0])


def log_softmax(state: ImportState, node: SourceNode) -> None:
    if not state.is_channels(node.inputs[0], node.attributes.get("axis", -1)):
        raise Unsupported("its axis is not the channel axis")
    state.add(node, ops.LogSoftmax(), node.outputs[0])


def softmax(state: ImportState, node: SourceNode) -> None:
    if not state.is_channels(node.inputs[0], node.attributes.get("axis", -1)):
        raise Unsupported("its axis is not the channel axis")
    state.add(node, ops.Softmax(), node.outputs[0])


def gelu(state: ImportState, node: SourceNode) -> None:
    state.add(node, ops.Gelu(approximate=node.attributes.get("approximate", "none") == "tanh"), node.outputs[0])


def gelu_by_erf(state: ImportState, node: SourceNode) -> bool:
    indices = []
    output = node.outputs[0]
    for op_type in ("Erf", "Add", "Mul", "Mul"):
        reader = state.only_reader(output, op_type)
        if reader is None:
            return False
        indices.append(reader[0])
        output = reader[1].outputs[0]
    state.consumed.update(indices)
    state.add(node, ops.Gelu(), output)
    return True


def identity(state: ImportState, node: SourceNode) -> None:
    state.aliases[node.outputs[0]] = state.value(node.inputs[0])
    if node.inputs[0] in state.channels_last:
        state.channels_last.add(node.outputs[0])


def affine(state: ImportState, node: SourceNode, mul: Array | None, add: Array | None) -> None:
    """An `affine` op: constants that multiply and are added, one value or one per channel."""
    (source,) = (i for i in node.inputs if i not in state.constants)
    fields = {}
    for name, constant in (("mul", mul), ("add", add)):
        if constant is not None:
            fields[name] = per_channel(state, source, constant)
    state.add(node, ops.Affine(**fields), node.outputs[0], inputs=[source])


def per_channel(state: ImportState, source: str, constant: Array) -> float | tuple[float, ...]:
    size = constant.size
    if size == 1:
        return single(float(constant.reshape(())))
    after = 0 if source in state.channels_last else state.axes(source)
    legal = (size, *[1] * after)
    shape = constant.shape
    if size != concrete(state.shape(source))[0] or shape[-len(legal) :] != legal or len(shape) > state.axes(source) + 2:
        raise Unsupported("its constant is neither one value nor one value per channel")
    return tuple(single(float(v)) for v in constant.reshape(-1))
