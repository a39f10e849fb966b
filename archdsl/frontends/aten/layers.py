"""Functions of the ATen ops with weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archdsl.axes import MOST
from archdsl.frontends.aten.filters import BLUR, blurs, filters
from archdsl.frontends.aten.translation import BATCH, Translation
from archdsl.frontends.state import Unsupported

COUNTS = range(1, MOST + 1)
"""Numbers of spatial axes."""


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """One number for each axis: PyTorch repeats a single one."""
    numbers = tuple(value) if isinstance(value, Sequence) else (value,)
    return numbers * axes if len(numbers) == 1 else numbers


def _axes(t: Translation, x: Any, weight: Any) -> int:
    if len(t.shape(x)) != len(t.shape(weight)) or t.shape(x)[0] != BATCH:
        raise Unsupported("its input has no batch")
    return len(t.shape(weight)) - 2


def conv(
    t: Translation, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> str:  # fmt: skip
    axes, kernel = _axes(t, input, weight), t.shape(weight)[2:]
    if set(per_axis(padding, axes)) == {0} and bias is None and blurs(t, input, weight, per_axis(stride, axes), groups):
        return t.emit(BLUR, t.value(input.args[0]), kernel_shape=kernel, strides=per_axis(stride, axes))
    dilations = per_axis(dilation, axes)
    begins = ends = per_axis(0 if isinstance(padding, str) else padding, axes)
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilations, strict=True)]
        begins, ends = tuple(n // 2 for n in totals), tuple(n - n // 2 for n in totals)
    op_type, tensors, attributes = filters(t, weight)
    return t.emit(
        op_type,
        *(t.value(one) for one in (input, tensors[0], bias, *tensors[1:])),
        kernel_shape=kernel,
        strides=per_axis(stride, axes),
        pads=(*begins, *ends),
        dilations=dilations,
        group=groups,
        **attributes,
    )


def conv_transpose(
    t: Translation, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> str:  # fmt: skip
    axes = _axes(t, input, weight)
    return t.emit(
        "ConvTranspose",
        *(t.value(one) for one in (input, weight, bias)),
        kernel_shape=t.shape(weight)[2:],
        strides=per_axis(stride, axes),
        pads=per_axis(padding, axes) * 2,
        output_padding=per_axis(output_padding, axes),
        dilations=per_axis(dilation, axes),
        group=groups,
    )


def linear(t: Translation, input: Any, weight: Any, bias: Any = None) -> str:
    """A Gemm also of more than two axes: a matrix that multiplies the last one."""
    return t.emit("Gemm", *(t.value(one) for one in (input, weight, bias)), transB=1)


def _learned(t: Translation, channels: int, weight: Any, bias: Any) -> tuple[str, str]:
    """Scale and shift of a norm; ones and zeros that no module owns if it learns neither."""
    if (weight is None) != (bias is None):
        raise Unsupported("it has a scale and no shift, or a shift and no scale")
    names = t.value(weight), t.value(bias)
    return names if all(names) else (t.array([1.0] * channels, np.float32), t.array([0.0] * channels, np.float32))


def batch_norm(
    t: Translation, input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    momentum: float, eps: float, cudnn_enabled: bool = True,
) -> str:  # fmt: skip
    if training or running_mean is None:
        raise Unsupported("it normalises with the statistics of the batch, also in evaluation mode")
    learned = _learned(t, t.shape(input)[1], weight, bias)
    tracked = t.value(input), *learned, t.value(running_mean), t.value(running_var)
    return t.emit("BatchNormalization", *tracked, epsilon=eps, momentum=1.0 - momentum)


def instance_norm(
    t: Translation, input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool,
    momentum: float, eps: float, cudnn_enabled: bool = True,
) -> str:  # fmt: skip
    if not use_input_stats:
        return batch_norm(t, input, weight, bias, running_mean, running_var, False, momentum, eps)
    learned = _learned(t, t.shape(input)[1], weight, bias)
    return t.emit("InstanceNormalization", t.value(input), *learned, epsilon=eps)


def group_norm(
    t: Translation, input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> str:  # fmt: skip
    alone = weight if bias is None else None  # written as a factor of its own
    learned = _learned(t, t.shape(input)[1], None if bias is None else weight, bias)
    name = t.emit("GroupNormalization", t.value(input), *learned, epsilon=eps, num_groups=num_groups)
    return name if alone is None else t.emit("Mul", name, _per_channel(t, alone, len(t.shape(input)) - 2))


def layer_norm(
    t: Translation, input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> str:  # fmt: skip
    if normalized_shape[1:]:
        raise Unsupported("it normalises over several axes")
    alone = weight if bias is None else None  # written as a factor of its own
    learned = _learned(t, normalized_shape[0], None if bias is None else weight, bias)
    name = t.emit("LayerNormalization", t.value(input), *learned, epsilon=eps, axis=len(t.shape(input)) - 1)
    return name if alone is None else t.emit("Mul", name, t.value(alone))


def prelu(t: Translation, input: Any, weight: Any) -> str:
    return t.emit("PRelu", t.value(input), _per_channel(t, weight, len(t.shape(input)) - 2))


def _per_channel(t: Translation, tensor: Any, axes: int) -> str:
    """A tensor with one value per channel, with `axes` spatial axes after them."""
    name = t.value(tensor)
    reshaped = f"{name}/{axes}"
    t.origins[reshaped], t.arrays[reshaped] = t.origins.get(name, name), t.arrays[name].reshape(-1, *[1] * axes)
    return reshaped


TABLE: Mapping[str, Any] = {
    **{f"conv{n}d": conv for n in COUNTS},
    **{f"conv_transpose{n}d": conv_transpose for n in COUNTS},
    "linear": linear,
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "prelu": prelu,
}
