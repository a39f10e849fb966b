"""Rules that convert ONNX nodes to ops: the table `{op type: rule}`.

A rule reads its node, and the next nodes if several together are one op (a Sigmoid and a Mul are a SiLU), and adds the
op with its tensors. Between two transposes values have their channels last: a MatMul there is a 1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Mapping

from archdsl import ops
from archdsl.diagnostics import ArchError
from archdsl.frontends.constants import evaluate_constant
from archdsl.frontends.onnx_model import SourceModel, SourceNode, problem_diagnostics
from archdsl.frontends.onnx_ops.layers import bn, conv, deconv, gemm, groupnorm, instancenorm, ln, lrn, matmul, prelu
from archdsl.frontends.onnx_ops.pixels import depth_to_space, expand, space_to_depth
from archdsl.frontends.onnx_ops.pools import avgpool, gap, maxpool, reduction, unsqueeze
from archdsl.frontends.onnx_ops.resizes import resize
from archdsl.frontends.onnx_ops.shapes import (
    add,
    concat,
    div,
    flatten,
    gather,
    joins,
    mul,
    pad,
    reshape,
    slice_,
    split,
    squeeze,
    sub,
    transpose,
)
from archdsl.frontends.onnx_ops.values import (
    act,
    attribute,
    clip,
    gated,
    gelu,
    hardsigmoid,
    identity,
    log_softmax,
    selu,
    softmax,
    softplus,
)
from archdsl.frontends.state import ImportRule, ImportState, Unsupported
from archdsl.shapes import Shape

_BUDGET = 1 << 26
"""Bytes that computed constants may take, beyond four times the bytes of the file's own constants."""


def recognise(model: SourceModel, shapes: Mapping[str, Shape]) -> ImportState:
    """Convert all nodes of the model to ops. `shapes` are those of its inputs, without the batch.

    Raises E0842 for unsupported nodes, with one error for each op type and reason.
    """
    state = ImportState(model, dict(shapes), dict(model.constants))
    state.budget = _BUDGET + 4 * sum(array.nbytes for array in model.constants.values())
    for index, node in enumerate(model.nodes):
        for name in node.inputs:
            state.readers.setdefault(name, []).append(index)
    problems: dict[tuple[str, str], list[str]] = {}
    for index, node in enumerate(model.nodes):
        if index in state.consumed:
            continue
        try:
            _convert(state, node)
        except Unsupported as problem:
            problems.setdefault((node.op_type, str(problem)), []).append(node.name)
            _skip(state, node)
    if problems:
        raise ArchError(problem_diagnostics("E0842", problems))
    return state


def _convert(state: ImportState, node: SourceNode) -> None:
    """Raises `Unsupported`, also if wrong values in the file make a rule or an op's own check fail otherwise."""
    try:
        _apply_rule(state, node)
    except (Unsupported, ArchError, MemoryError):
        raise
    except Exception as problem:
        raise Unsupported(
            f"its inputs or attributes are not valid for {node.op_type[:40]} ({type(problem).__name__})"
        ) from None


def _apply_rule(state: ImportState, node: SourceNode) -> None:
    if evaluate_constant(state, node):
        return
    rule = TABLE.get(node.op_type)
    if rule is None:
        raise Unsupported("archdsl has no op for it")
    rule(state, node)


def _skip(state: ImportState, node: SourceNode) -> None:
    """Treat an unsupported node as an identity, so that one problem is one error."""
    for output in node.outputs:
        source = next((i for i in node.inputs if state.value(i) in state.shapes), None)
        if source is not None:
            state.aliases[output] = state.value(source)


def first(rule: ImportRule) -> ImportRule:
    """The rule, for ops that take the second axis as their channels."""

    def checked(state: ImportState, node: SourceNode) -> None:
        if node.inputs[0] in state.channels_last:
            raise Unsupported("its input has its channels last")
        rule(state, node)

    return checked


TABLE: Mapping[str, ImportRule] = {
    "Conv": first(conv),
    "ConvTranspose": first(deconv),
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": first(bn),
    "GroupNormalization": first(groupnorm),
    "InstanceNormalization": first(instancenorm),
    "LayerNormalization": ln,
    "LRN": first(lrn),
    "PRelu": prelu,
    "MaxPool": first(maxpool),
    "AveragePool": first(avgpool),
    "GlobalAveragePool": first(gap),
    "GlobalMaxPool": first(act(lambda node: ops.Gmp())),
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"), reduction),
    "Relu": act(lambda node: ops.Relu()),
    "Clip": clip,
    "LeakyRelu": act(lambda node: ops.LeakyRelu(slope=attribute(node, "alpha", 0.01))),
    "Elu": act(lambda node: ops.Elu(alpha=attribute(node, "alpha", 1.0))),
    "Selu": selu,
    "Celu": act(lambda node: ops.Celu(alpha=attribute(node, "alpha", 1.0))),
    "Softplus": softplus,
    "Softsign": act(lambda node: ops.Softsign()),
    "Mish": act(lambda node: ops.Mish()),
    "LogSoftmax": log_softmax,
    "Tanh": act(lambda node: ops.Tanh()),
    "Sigmoid": gated(ops.Sigmoid(), ops.Silu()),
    "HardSigmoid": hardsigmoid,
    "HardSwish": act(lambda node: ops.HardSwish()),
    "Abs": act(lambda node: ops.Abs()),
    "Gelu": gelu,
    "Div": div,
    "Softmax": softmax,
    "Identity": identity,
    "Dropout": identity,
    "Add": add,
    "Sub": sub,
    "Mul": mul,
    "Sum": joins(ops.Add),
    "Max": joins(ops.Maximum),
    "Min": joins(ops.Minimum),
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Flatten": flatten,
    "Gather": gather,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Expand": first(expand),
    "DepthToSpace": first(depth_to_space),
    "SpaceToDepth": first(space_to_depth),
    "Pad": first(pad),
    "Resize": first(resize),
    "Upsample": first(resize),
}
