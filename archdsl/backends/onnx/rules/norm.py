"""Normalisations as ONNX nodes."""

from __future__ import annotations

from archdsl import ops
from archdsl.axes import axes_of
from archdsl.backends.onnx.records import Attribute, Emitter
from archdsl.backends.onnx.rules.parts import Lowering, as_before
from archdsl.backends.onnx.rules.pool import averaging
from archdsl.ops.base import Op
from archdsl.shapes import at


def _scale_and_shift(e: Emitter, affine: bool) -> tuple[str, str]:
    """Return the names of the learned scale and shift, or of ones and zeros."""
    channels = (at(e.node.shape[0]),)
    if affine:
        return e.param("weight"), e.param("bias")
    return e.floats("ones", 1.0, channels), e.floats("zeros", 0.0, channels)


def bn(e: Emitter, op: ops.Bn) -> None:
    e.last(
        "BatchNormalization",
        e.x,
        *_scale_and_shift(e, op.affine),
        e.param("running_mean"),
        e.param("running_var"),
        epsilon=op.eps,
        momentum=1.0 - op.momentum,
        training_mode=0,
    )


def gn(e: Emitter, op: ops.Gn) -> None:
    """Uses instance normalisation: ONNX Runtime's group normalisation is inaccurate if the mean is large."""
    channels = at(e.node.shape[0])
    copied = [0] * (len(e.node.shape) - 2)  # a size of 0 is that of the same axis of the input, the free one too
    apart = [0, op.groups, -1, *copied]
    groups = e.step("groups", "Reshape", e.x, e.ints("grouped", apart), allowzero=0)
    ones, zeros = e.floats("ones", 1.0, (op.groups,)), e.floats("zeros", 0.0, (op.groups,))
    normal = e.step("normal", "InstanceNormalization", groups, ones, zeros, epsilon=op.eps)
    together = [0, channels, -1, *copied][: len(e.node.shape) + 1]
    if not op.affine:
        e.last("Reshape", normal, e.ints("together", together), allowzero=0)
        return
    restored = e.step("restored", "Reshape", normal, e.ints("together", together), allowzero=0)
    shape = (channels,) + (1,) * (len(e.node.shape) - 1)
    scaled = e.step("scaled", "Mul", restored, e.derived("gains", "weight", shape))
    e.last("Add", scaled, e.derived("offsets", "bias", shape))


def instancenorm(e: Emitter, op: ops.InstanceNorm) -> None:
    e.last("InstanceNormalization", e.x, *_scale_and_shift(e, op.affine), epsilon=op.eps)


def ln(e: Emitter, op: ops.Ln) -> None:
    """Subtracts the mean before the op does so again: ONNX Runtime 1.20 computes the variance as mean(x^2) - mean(x)^2.

    If the mean is 1000 times the standard deviation, the error of that is 0.94, for larger means the result is NaN
    (1.32: 3e-5). With the subtraction it is 5e-7 in both versions, and convnext_tiny takes 3 % longer.
    """
    facts: dict[str, Attribute] = {"axis": -1, "epsilon": op.eps, "stash_type": 1}
    mean = e.step("mean", "ReduceMean", e.x, e.ints("channels", [1]), keepdims=1, noop_with_empty_axes=0)
    centred = e.step("centred", "Sub", e.x, mean)
    learned = _scale_and_shift(e, op.affine)
    if not axes_of(e.node.shape):
        e.last("LayerNormalization", centred, *learned, **facts)
        return
    spatial = range(2, len(e.node.shape) + 1)
    channels_last = e.step("channels_last", "Transpose", centred, perm=(0, *spatial, 1))
    normal = e.step("normal", "LayerNormalization", channels_last, *learned, **facts)
    e.last("Transpose", normal, perm=(0, len(e.node.shape), *range(1, len(e.node.shape))))


def lrn(e: Emitter, op: ops.Lrn) -> None:
    """Computes the mean over channels as an average pool over the rows of (1, C, pixels).

    ONNX Runtime's own op rejects even sizes, and uses a running sum along the channels: the rounding error of a large
    value stays in the sums that follow (with 1e6 beside 1 the result is NaN). It takes 1.7 times as long.
    """
    channels = at(e.node.shape[0])
    square = e.step("square", "Mul", e.x, e.x)
    rows = e.step("rows", "Reshape", square, e.ints("flat", [0, 1, channels, -1]), allowzero=0)
    ends = e.ints("ends", [0, 0, op.size // 2, 0, 0, 0, (op.size - 1) // 2, 0])
    padded = e.step("padded", "Pad", rows, ends, e.floats("zero", 0.0), mode="constant")
    mean = e.step("mean", "AveragePool", padded, **averaging((op.size, 1), (1, 1)))
    restored = e.step("restored", "Reshape", mean, as_before(e), allowzero=0)
    scaled = e.step("scaled", "Mul", restored, e.floats("alpha", op.alpha))
    base = e.step("base", "Add", scaled, e.floats("k", op.k))
    e.last("Div", e.x, e.step("power", "Pow", base, e.floats("beta", op.beta)))


RULES: dict[type[Op], Lowering] = {
    ops.Bn: bn,
    ops.Gn: gn,
    ops.InstanceNorm: instancenorm,
    ops.Ln: ln,
    ops.Lrn: lrn,
}
