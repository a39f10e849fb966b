"""Rules that convert ONNX nodes to ops: the table `{op type: rule}`.

A rule reads its node, and the next nodes if several together are one op (a layer norm as archdsl writes it), and adds
the op with its tensors. Reshapes and transposes add nothing: they change the layout of a tensor (`layout.py`). Nodes
have the form of the newest opset (`opsets.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from archdsl import ops
from archdsl.diagnostics import ArchError
from archdsl.frontends.constants import evaluate_constant
from archdsl.frontends.onnx_model import SourceModel, SourceNode, refused
from archdsl.frontends.onnx_ops.curves import curve
from archdsl.frontends.onnx_ops.layers import (
    bn,
    conv,
    deconv,
    gemm,
    groupnorm,
    instancenorm,
    ln,
    lrn,
    matmul,
    prelu,
)
from archdsl.frontends.onnx_ops.pixels import (
    depth_to_space,
    expand,
    flatten,
    gather,
    reshape,
    space_to_depth,
    squeeze,
    transpose,
    unsqueeze,
)
from archdsl.frontends.onnx_ops.pools import adaptive, avgpool, blurpool, maxpool, reduction
from archdsl.frontends.onnx_ops.resizes import resize
from archdsl.frontends.onnx_ops.shapes import (
    add,
    concat,
    div,
    extreme,
    mul,
    neg,
    pad,
    power,
    slice_,
    split,
    sub,
    sum_,
)
from archdsl.frontends.onnx_ops.values import (
    act,
    attribute,
    cast,
    clip,
    dropout,
    gelu,
    hardsigmoid,
    identity,
    selu,
    softmax,
)
from archdsl.frontends.opsets import newest
from archdsl.frontends.state import ImportRule, ImportState, Unsupported
from archdsl.shapes import Shape

_BUDGET = 1 << 26
"""Bytes that computed constants may take, beyond four times the bytes of the file's own constants."""


class Rule:
    """An import rule, with the attributes that it reads, and others that it allows if they have a certain value.

    With `first`, the op takes the second axis as the channels, and its inputs must have the axes of the spec's values.
    """

    def __init__(self, convert: ImportRule, attributes: str = "", first: bool = False, **fixed: Any) -> None:
        self.convert, self.first = convert, first
        self.attributes, self.fixed = frozenset(attributes.split()), fixed

    def __call__(self, state: ImportState, node: SourceNode) -> None:
        for name, value in node.attributes.items():
            if name not in self.attributes and (name not in self.fixed or self.fixed[name] != value):
                raise Unsupported(f"archdsl does not support its attribute `{name[:40]}` = {str(value)[:40]}")
            if name in _FLAGS and value not in (False, True):
                raise Unsupported(f"its `{name}` is {value}, not 0 or 1")
        self.convert(state, state.with_standard_inputs(node) if self.first else node)
        for output in node.outputs[1:]:
            used = output and (output in state.model.outputs or state.readers.get(output))
            if used and output not in state.views:
                raise Unsupported(f"another node reads its output `{output[:80]}`, which a spec does not have")


_FLAGS = frozenset(
    "allowzero antialias ceil_mode count_include_pad exclude_outside keepdims noop_with_empty_axes "
    "transA transB".split()
)
"""Attributes that are true or false; other numbers mean different things to different runtimes."""


def recognise(model: SourceModel, shapes: Mapping[str, Shape]) -> ImportState:
    """Convert all nodes of the model to ops. `shapes` are those of its inputs, without the batch.

    Raises E0842 for unsupported nodes, with one error for each op type and reason. Nodes behind one of those are listed
    only if no rule converts them.
    """
    model = newest(model)
    state = ImportState(model, dict(shapes), dict(model.constants))
    state.budget = _BUDGET + 4 * sum(array.nbytes for array in model.constants.values())
    problems: dict[tuple[str, str], list[str]] = {}
    for index, node in enumerate(model.nodes):
        state.index = index
        if index in state.consumed:
            continue
        try:
            _convert(state, node)
        except Unsupported as problem:
            problems.setdefault((node.op_type, str(problem)), []).append(node.name or node.outputs[0])
            state.unknown.update(node.outputs)
    for name in model.outputs if not problems else ():
        try:
            _output(state, name)
        except Unsupported as problem:
            maker = state.makers.get(name)
            title = ("output", name) if maker is None else (maker.op_type, maker.name or name)
            problems.setdefault((title[0], str(problem)), []).append(title[1])
    if problems:
        raise refused("E0842", problems, len(model.nodes))
    return state


def _output(state: ImportState, name: str) -> None:
    if name in state.constants:
        raise Unsupported("the output is a constant")
    if name not in state.views:
        raise Unsupported("no node computes this output")
    state.alias(name, state.standard(name))


def _convert(state: ImportState, node: SourceNode) -> None:
    """Raises `Unsupported`, also if wrong values in the file make a rule or an op's own check fail otherwise."""
    try:
        _apply_rule(state, node)
    except (Unsupported, ArchError, MemoryError):
        raise
    except ValidationError as problem:  # of a field of an op
        first = problem.errors(include_url=False)[0]
        reason = first["msg"].removeprefix("Input ").lower()
        raise Unsupported(f"a spec does not allow its `{first['loc'][0]}`: it {reason[:120]}") from None
    except Exception as problem:
        raise Unsupported(
            f"its inputs or attributes are not valid for {node.op_type[:40]} ({type(problem).__name__})"
        ) from None


def _apply_rule(state: ImportState, node: SourceNode) -> None:
    rule = TABLE.get(node.op_type)
    if not state.unknown.isdisjoint(node.inputs):
        state.unknown.update(node.outputs)
        if rule is None and node.op_type not in CONSTANT_OPS:
            raise _no_rule(node)
        return
    if evaluate_constant(state, node) or curve(state, node):
        return
    if rule is None:
        raise _no_rule(node)
    if all(name in state.constants for name in node.inputs if name):
        raise Unsupported("all its inputs are constants")
    rule(state, node)


def _no_rule(node: SourceNode) -> Unsupported:
    if node.op_type.endswith(("QuantizeLinear", "DequantizeLinear", "Integer")) or node.op_type.startswith("QLinear"):
        return Unsupported("values of a spec are not quantised: import the model as it was before its quantisation")
    return Unsupported("archdsl has no op for it")


CONSTANT_OPS = frozenset("Shape ConstantOfShape Range Cast Equal Where Floor".split())
"""Op types that compute shapes."""

_WINDOW = "kernel_shape strides pads auto_pad dilations"

TABLE: Mapping[str, Rule] = {
    "Conv": Rule(conv, f"{_WINDOW} group"),
    "aten.StandardizedConv": Rule(conv, f"{_WINDOW} group standardize gain"),
    "aten.AdaptiveAvgPool": Rule(adaptive, "kernel_shape", first=True),
    "aten.BlurPool": Rule(blurpool, "kernel_shape strides", first=True),
    "ConvTranspose": Rule(deconv, f"{_WINDOW} group output_padding output_shape", first=True),
    "Gemm": Rule(gemm, "alpha beta transA transB"),
    "MatMul": Rule(matmul),
    "BatchNormalization": Rule(bn, "epsilon momentum", training_mode=0, spatial=1),
    "GroupNormalization": Rule(groupnorm, "epsilon num_groups per_group", stash_type=1),
    "InstanceNormalization": Rule(instancenorm, "epsilon"),
    "LayerNormalization": Rule(ln, "axis epsilon", stash_type=1),
    "LRN": Rule(lrn, "alpha beta bias size", first=True),
    "PRelu": Rule(prelu),
    "MaxPool": Rule(maxpool, f"{_WINDOW} ceil_mode", storage_order=0),
    "AveragePool": Rule(avgpool, f"{_WINDOW} ceil_mode count_include_pad", first=True),
    "GlobalAveragePool": Rule(lambda state, node: state.add(node, ops.Gap(), node.outputs[0]), first=True),
    "GlobalMaxPool": Rule(lambda state, node: state.add(node, ops.Gmp(), node.outputs[0]), first=True),
    **dict.fromkeys(
        ("ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"), Rule(reduction, "keepdims noop_with_empty_axes")
    ),
    "Relu": Rule(act(lambda node: ops.Relu())),
    "Clip": Rule(clip),
    "LeakyRelu": Rule(act(lambda node: ops.LeakyRelu(slope=attribute(node, "alpha", 0.01))), "alpha"),
    "Elu": Rule(act(lambda node: ops.Elu(alpha=attribute(node, "alpha", 1.0))), "alpha"),
    "Selu": Rule(selu, "alpha gamma"),
    "Celu": Rule(act(lambda node: ops.Celu(alpha=attribute(node, "alpha", 1.0))), "alpha"),
    "Softplus": Rule(act(lambda node: ops.Softplus())),
    "Softsign": Rule(act(lambda node: ops.Softsign())),
    "Mish": Rule(act(lambda node: ops.Mish())),
    "Tanh": Rule(act(lambda node: ops.Tanh())),
    "Sigmoid": Rule(act(lambda node: ops.Sigmoid())),
    "HardSigmoid": Rule(hardsigmoid, "alpha beta"),
    "HardSwish": Rule(act(lambda node: ops.HardSwish())),
    "Abs": Rule(act(lambda node: ops.Abs())),
    "Gelu": Rule(gelu, "approximate"),
    "Softmax": Rule(softmax, "axis flattened"),
    "LogSoftmax": Rule(softmax, "axis flattened"),
    "Identity": Rule(identity),
    "Dropout": Rule(dropout, "seed"),
    "Cast": Rule(cast, "to saturate round_mode"),
    "Add": Rule(add),
    "Sub": Rule(sub),
    "Mul": Rule(mul),
    "Div": Rule(div),
    "Neg": Rule(neg),
    "Pow": Rule(power),
    "Sum": Rule(sum_),
    "Max": Rule(extreme(ops.Maximum)),
    "Min": Rule(extreme(ops.Minimum)),
    "Concat": Rule(concat, "axis"),
    "Split": Rule(split, "axis num_outputs"),
    "Slice": Rule(slice_),
    "Flatten": Rule(flatten, "axis"),
    "Gather": Rule(gather, "axis"),
    "Reshape": Rule(reshape, "allowzero"),
    "Squeeze": Rule(squeeze),
    "Unsqueeze": Rule(unsqueeze),
    "Transpose": Rule(transpose, "perm"),
    "Expand": Rule(expand),
    "DepthToSpace": Rule(depth_to_space, "blocksize mode"),
    "SpaceToDepth": Rule(space_to_depth, "blocksize"),
    "Pad": Rule(pad, "mode", first=True),
    "Resize": Rule(
        resize,
        "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside mode nearest_mode "
        "extrapolation_value",
        first=True,
        keep_aspect_ratio_policy="stretch",
    ),
}
