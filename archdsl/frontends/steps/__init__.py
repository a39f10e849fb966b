"""What the nodes of an ONNX file are in our ops: the table `{op type: function}`.

A function looks at its step, and at the one behind where several say one thing together (a Sigmoid and the Mul that
makes it a SiLU), and gives an op with its numbers. Values that lie with their channels last, between two transposes,
are followed as such: a MatMul there is a fully connected layer at every place.
"""

from __future__ import annotations

from collections.abc import Mapping

from archdsl import ops
from archdsl.diagnostics import ArchError
from archdsl.frontends.constants import folded
from archdsl.frontends.onnx_model import Model, Step, told
from archdsl.frontends.reading import Reading, Recogniser, Unknown
from archdsl.frontends.steps.layers import bn, conv, deconv, gemm, instancenorm, ln, lrn, matmul, prelu
from archdsl.frontends.steps.pools import avgpool, gap, maxpool, reduce_mean
from archdsl.frontends.steps.shapes import (
    add,
    concat,
    flatten,
    gather,
    mul,
    pad,
    reshape,
    resize,
    slice_,
    split,
    squeeze,
    sub,
    transpose,
)
from archdsl.frontends.steps.values import act, attribute, clip, div, gated, gelu, hardsigmoid, nothing, softmax
from archdsl.shapes import Shape

_ROOM = 1 << 26
"""Bytes for the constants that a file works out, beside four times those of its own."""


def recognise(model: Model, shapes: Mapping[str, Shape]) -> Reading:
    """The model in our ops, given its inputs' shapes without the batch.

    Errors: E0842 steps that are not understood: all of them, those of one kind and reason together.
    """
    reading = Reading(model, dict(shapes), dict(model.constants))
    reading.room = _ROOM + 4 * sum(array.nbytes for array in model.constants.values())
    for number, step in enumerate(model.steps):
        for name in step.inputs:
            reading.readers.setdefault(name, []).append(number)
    problems: dict[tuple[str, str], list[str]] = {}
    for number, step in enumerate(model.steps):
        if number in reading.done:
            continue
        try:
            _recognised(reading, step)
        except Unknown as problem:
            problems.setdefault((step.op_type, str(problem)), []).append(step.name)
            _guess(reading, step)
    if problems:
        raise ArchError(told("E0842", problems))
    return reading


def _recognised(reading: Reading, step: Step) -> None:
    """Raises Unknown, whatever a stranger's numbers lead a recogniser or an op's own fields to raise."""
    try:
        _recognise(reading, step)
    except (Unknown, ArchError, MemoryError):
        raise
    except Exception as problem:
        raise Unknown(
            f"its inputs or attributes are not those of a {step.op_type[:40]} ({type(problem).__name__})"
        ) from None


def _recognise(reading: Reading, step: Step) -> None:
    if folded(reading, step):
        return
    found = TABLE.get(step.op_type)
    if found is None:
        raise Unknown("archdsl has no op for it")
    found(reading, step)


def _guess(reading: Reading, step: Step) -> None:
    """Behind a step that was not understood: as if it changed nothing, so that one mistake is told once."""
    for output in step.outputs:
        source = next((i for i in step.inputs if reading.value(i) in reading.shapes), None)
        if source is not None:
            reading.same[output] = reading.value(source)


TABLE: Mapping[str, Recogniser] = {
    "Conv": conv,
    "ConvTranspose": deconv,
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": bn,
    "InstanceNormalization": instancenorm,
    "LayerNormalization": ln,
    "LRN": lrn,
    "PRelu": prelu,
    "MaxPool": maxpool,
    "AveragePool": avgpool,
    "GlobalAveragePool": gap,
    "ReduceMean": reduce_mean,
    "Relu": act(lambda step: ops.Relu()),
    "Clip": clip,
    "LeakyRelu": act(lambda step: ops.LeakyRelu(slope=attribute(step, "alpha", 0.01))),
    "Elu": act(lambda step: ops.Elu(alpha=attribute(step, "alpha", 1.0))),
    "Tanh": act(lambda step: ops.Tanh()),
    "Sigmoid": gated(ops.Sigmoid(), ops.Silu()),
    "HardSigmoid": hardsigmoid,
    "HardSwish": act(lambda step: ops.HardSwish()),
    "Gelu": gelu,
    "Div": div,
    "Softmax": softmax,
    "Identity": nothing,
    "Dropout": nothing,
    "Add": add,
    "Sub": sub,
    "Mul": mul,
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Flatten": flatten,
    "Gather": gather,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Pad": pad,
    "Resize": resize,
}
