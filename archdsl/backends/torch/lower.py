"""Ops as PyTorch modules and functions, as data: one row per op of a graph. Imports no torch.

A row gives the module, the functional form, or both (`steps.Lowered`). Modules that PyTorch lacks are classes of
`layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, TypeVar

from archdsl import ops
from archdsl.axes import MOST, axes_of, kind_of, uniform
from archdsl.backends.torch.steps import (
    Argument,
    Call,
    Expr,
    Literal,
    Lowered,
    Module,
    Parameter,
    Training,
    Weight,
)
from archdsl.ops.base import Op
from archdsl.shapes import Pads, Shape, at

Rule: TypeAlias = Callable[[Any, Sequence[Shape]], Lowered]
X = Argument(0)
T = TypeVar("T")


def named(target: str, shape: Shape) -> str:
    """Return `nn.Conv2d` for `nn.Conv{n}d` and an image. A vector has the class of signals."""
    return target.format(n=max(1, axes_of(shape)))


def for_all_axes(table: Mapping[str, T]) -> dict[str, T]:
    """Return a table with a row for each number of axes in place of each row whose target has an `{n}`."""
    return {target.format(n=axes): row for target, row in table.items() for axes in range(1, MOST + 1)}


def lower(op: Op, in_shapes: Sequence[Shape]) -> Lowered:
    """Return the op for inputs of these shapes (without the batch) as a PyTorch module or function."""
    lowered = TABLE[type(op)](op, in_shapes)
    return replace(lowered, module=lowered.module and replace(lowered.module, look=op.look))


def _module(target: str, **arguments: Literal) -> Module:
    return Module(target, tuple(arguments.items()))


def _call(target: str, *args: Expr, **kwargs: Expr) -> Call:
    return Call(target, args, tuple(kwargs.items()))


def _sides(pads: Pads) -> tuple[int, ...]:
    """Return the pads in the order of `F.pad`: begin and end of the last axis, then of the one before it."""
    return tuple(side for sides in reversed([*zip(pads.begins, pads.ends, strict=True)]) for side in sides)


# --- convolutions and fully connected layers --------------------------------------------------------------


def _conv(op: ops.Conv, shapes: Sequence[Shape]) -> Lowered:
    pads = op.pads(shapes[0])
    stride, dilation = uniform(op.stride), uniform(op.dilation)
    if op.table is not None:
        return Lowered(
            _module(
                named("TableConv{n}d", shapes[0]),
                kernel_size=op.kernel,
                table=op.table,
                stride=stride,
                pads=_sides(pads) if any(pads) else (),
                dilation=dilation,
                bias=op.bias,
            )
        )
    head: dict[str, Literal] = {
        "in_channels": at(shapes[0][0]),
        "out_channels": op.out,
        "kernel_size": uniform(op.kernel),
    }
    tail: dict[str, Literal] = {"dilation": dilation, "groups": op.groups, "bias": op.bias}
    if op.weight is not None or not isinstance(op.bias, bool):
        # Padded separately in all cases, so that one class is enough for even and uneven pads.
        target = named("FixedConv{n}d", shapes[0])
        sides = _sides(pads) if any(pads) else ()
        return Lowered(_module(target, **head, stride=stride, pads=sides, **tail, filters=op.weight))
    if pads.even:
        target = named("nn.Conv{n}d", shapes[0])
        return Lowered(_module(target, **head, stride=stride, padding=uniform(pads.begins), **tail))
    target = named("PaddedConv{n}d", shapes[0])
    return Lowered(_module(target, **head, stride=stride, pads=_sides(pads), **tail))


def _deconv(op: ops.Deconv, shapes: Sequence[Shape]) -> Lowered:
    pads, extras = zip(*op.crops(), strict=True)
    return Lowered(
        _module(
            named("nn.ConvTranspose{n}d", shapes[0]),
            in_channels=at(shapes[0][0]),
            out_channels=op.out,
            kernel_size=uniform(op.kernel),
            stride=uniform(op.stride),
            padding=uniform(pads),
            output_padding=uniform(extras),
            groups=op.groups,
            bias=op.bias,
            dilation=uniform(op.dilation),
        )
    )


def _fc(op: ops.Fc, shapes: Sequence[Shape]) -> Lowered:
    target = "nn.Linear" if op.kernel is None else "PointwiseLinear"
    return Lowered(_module(target, in_features=at(shapes[0][0]), out_features=op.out, bias=op.bias))


def _rbf(op: ops.Rbf, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("Rbf", in_features=at(shapes[0][0]), out_features=op.out, centers=op.centers))


# --- pools ------------------------------------------------------------------------------------------------


def _plain_pool(op: ops.MaxPool | ops.AvgPool, pads: Pads) -> bool:
    """Whether torch's own pool accepts these pads: even, and at most half of the kernel."""
    return pads.even and all(2 * pad <= k for pad, k in zip(pads.begins, op.kernel, strict=True))


def _maxpool(op: ops.MaxPool, shapes: Sequence[Shape]) -> Lowered:
    pads = op.pads(shapes[0])
    window: dict[str, Literal] = {"kernel_size": uniform(op.kernel), "stride": uniform(op.steps)}
    rest: dict[str, Literal] = {"dilation": uniform(op.dilation), "ceil_mode": op.ceil}
    if not _plain_pool(op, pads):
        return Lowered(_module(named("PaddedMaxPool{n}d", shapes[0]), **window, **rest, pads=_sides(pads)))
    padding = uniform(pads.begins)
    call = _call(named("F.max_pool{n}d", shapes[0]), X, *window.values(), padding=padding, **rest)
    return Lowered(_module(named("nn.MaxPool{n}d", shapes[0]), **window, padding=padding, **rest), call)


def _avgpool(op: ops.AvgPool, shapes: Sequence[Shape]) -> Lowered:
    if op.adaptive:
        return _adaptive(uniform(op.kernel), shapes[0])
    pads = op.pads(shapes[0])
    window: dict[str, Literal] = {"kernel_size": uniform(op.kernel), "stride": uniform(op.steps)}
    if not _plain_pool(op, pads):
        target = named("PaddedAvgPool{n}d", shapes[0])
        return Lowered(_module(target, **window, ceil_mode=op.ceil, pads=_sides(pads), inside=op.inside))
    padding = uniform(pads.begins)
    rest: dict[str, Literal] = {"ceil_mode": op.ceil, "count_include_pad": not op.inside}
    call = _call(named("F.avg_pool{n}d", shapes[0]), X, *window.values(), padding=padding, **rest)
    return Lowered(_module(named("nn.AvgPool{n}d", shapes[0]), **window, padding=padding, **rest), call)


def _adaptive(size: Literal, shape: Shape) -> Lowered:
    module = _module(named("nn.AdaptiveAvgPool{n}d", shape), output_size=size)
    return Lowered(module, _call(named("F.adaptive_avg_pool{n}d", shape), X, size))


def _gap(op: ops.Gap, shapes: Sequence[Shape]) -> Lowered:
    return _adaptive(1, shapes[0])


def _subsample(op: ops.Subsample, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("Subsample", channels=at(shapes[0][0]), kernel_size=op.kernel, stride=op.steps))


# --- norms ------------------------------------------------------------------------------------------------


def _bn(op: ops.Bn, shapes: Sequence[Shape]) -> Lowered:
    target, channels = named("nn.BatchNorm{n}d", shapes[0]), at(shapes[0][0])
    return Lowered(_module(target, num_features=channels, eps=op.eps, momentum=op.momentum, affine=op.affine))


def _gn(op: ops.Gn, shapes: Sequence[Shape]) -> Lowered:
    channels = at(shapes[0][0])
    return Lowered(_module("nn.GroupNorm", num_groups=op.groups, num_channels=channels, eps=op.eps, affine=op.affine))


def _instancenorm(op: ops.InstanceNorm, shapes: Sequence[Shape]) -> Lowered:
    target = named("nn.InstanceNorm{n}d", shapes[0])
    return Lowered(_module(target, num_features=at(shapes[0][0]), eps=op.eps, affine=op.affine))


def _ln(op: ops.Ln, shapes: Sequence[Shape]) -> Lowered:
    target = named("LayerNorm{n}d", shapes[0]) if axes_of(shapes[0]) else "nn.LayerNorm"
    return Lowered(_module(target, normalized_shape=at(shapes[0][0]), eps=op.eps, elementwise_affine=op.affine))


def _lrn(op: ops.Lrn, shapes: Sequence[Shape]) -> Lowered:
    fields: dict[str, Literal] = {"size": op.size, "alpha": op.alpha, "beta": op.beta, "k": op.k}
    return Lowered(_module("nn.LocalResponseNorm", **fields), _call("F.local_response_norm", X, **fields))


# --- activations and regularisers -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bare:
    """The rule of an op without fields: a module without arguments, and a function."""

    module: str
    function: str

    def __call__(self, op: Any, shapes: Sequence[Shape]) -> Lowered:
        return Lowered(_module(self.module), _call(self.function, X))


def _prelu(op: ops.PRelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("nn.PReLU", num_parameters=1 if op.shared else at(shapes[0][0])))


def _leaky_relu(op: ops.LeakyRelu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("nn.LeakyReLU", negative_slope=op.slope), _call("F.leaky_relu", X, op.slope))


def _elu(op: ops.Elu, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("nn.ELU", alpha=op.alpha), _call("F.elu", X, op.alpha))


def _scaled_tanh(op: ops.ScaledTanh, shapes: Sequence[Shape]) -> Lowered:
    call = _call("*", op.a, _call("torch.tanh", _call("*", op.s, X)))
    return Lowered(_module("ScaledTanh", a=op.a, s=op.s), call)


def _gelu(op: ops.Gelu, shapes: Sequence[Shape]) -> Lowered:
    approximate = "tanh" if op.approximate else "none"
    return Lowered(_module("nn.GELU", approximate=approximate), _call("F.gelu", X, approximate=approximate))


def _softmax(op: ops.Softmax, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("nn.Softmax", dim=1), _call("torch.softmax", X, 1))


def _dropout(op: ops.Dropout, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("nn.Dropout", p=op.p), _call("F.dropout", X, op.p, Training()))


def _droppath(op: ops.DropPath, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("DropPath", p=op.p))


# --- merges, reshapes, factors ----------------------------------------------------------------------------


def _joined(operator: str) -> Rule:
    """Return the rule of `a + b + c`, from left to right."""
    return lambda op, shapes: Lowered(call=_call(operator, *(Argument(n) for n in range(len(shapes)))))


def _concat(op: ops.Concat, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(call=_call("torch.cat", tuple(Argument(n) for n in range(len(shapes))), 1))


def _identity(op: Op, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("nn.Identity"), X)


def _flatten(op: ops.Flatten, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("nn.Flatten"), _call("torch.flatten", X, 1))


def _slice(op: ops.Slice, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(call=_call("slice", X, op.start, None if op.end == at(shapes[0][0]) else op.end))


def _shuffle(op: ops.Shuffle, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(_module("nn.ChannelShuffle", groups=op.groups), _call("F.channel_shuffle", X, op.groups))


def _upsample(op: ops.Upsample, shapes: Sequence[Shape]) -> Lowered:
    mode = kind_of(shapes[0]).linear if op.mode == "linear" else op.mode
    fields: dict[str, Literal] = {"scale_factor": uniform(op.scale), "mode": mode}
    return Lowered(_module("nn.Upsample", **fields), _call("F.interpolate", X, **fields))


def _pad(op: ops.Pad, shapes: Sequence[Shape]) -> Lowered:
    padding, axes = _sides(op.sides(shapes[0])), axes_of(shapes[0])
    if any(op.channels):
        padding, axes = padding + op.channels, axes + 1
    call = _call("F.pad", X, padding, value=op.value)
    # PyTorch has no module for the channels and all axes of a volume.
    module = _module(f"nn.ConstantPad{axes}d", padding=padding, value=op.value) if axes <= MOST else None
    return Lowered(module, call)


def _scale(op: ops.Scale, shapes: Sequence[Shape]) -> Lowered:
    (param,) = op.params(shapes)
    axes = len(shapes[0]) - len(param.shape)
    factors = _call("torch.reshape", Weight(""), (-1, *[1] * axes)) if axes else Weight("")
    return Lowered(call=_call("*", X, factors), parameter=Parameter(param.shape, float(op.init)))


def _affine(op: ops.Affine, shapes: Sequence[Shape]) -> Lowered:
    fields: dict[str, Literal] = {}
    call: Expr = X
    if op.mul != 1.0:
        fields["mul"], call = op.mul, _call("*", call, op.mul)
    if op.add != 0.0:
        fields["add"], call = op.add, _call("+", call, op.add)
    per_channel = isinstance(op.mul, tuple) or isinstance(op.add, tuple)
    return Lowered(_module("Affine", **fields), None if per_channel else call)


TABLE: Mapping[type[Op], Rule] = {
    ops.Input: _identity,
    ops.Conv: _conv,
    ops.Deconv: _deconv,
    ops.Fc: _fc,
    ops.Rbf: _rbf,
    ops.MaxPool: _maxpool,
    ops.AvgPool: _avgpool,
    ops.Gap: _gap,
    ops.Subsample: _subsample,
    ops.Bn: _bn,
    ops.Gn: _gn,
    ops.InstanceNorm: _instancenorm,
    ops.Ln: _ln,
    ops.Lrn: _lrn,
    ops.Relu: _Bare("nn.ReLU", "F.relu"),
    ops.Relu6: _Bare("nn.ReLU6", "F.relu6"),
    ops.LeakyRelu: _leaky_relu,
    ops.PRelu: _prelu,
    ops.Elu: _elu,
    ops.Tanh: _Bare("nn.Tanh", "torch.tanh"),
    ops.ScaledTanh: _scaled_tanh,
    ops.Sigmoid: _Bare("nn.Sigmoid", "torch.sigmoid"),
    ops.Silu: _Bare("nn.SiLU", "F.silu"),
    ops.Gelu: _gelu,
    ops.HardSwish: _Bare("nn.Hardswish", "F.hardswish"),
    ops.HardSigmoid: _Bare("nn.Hardsigmoid", "F.hardsigmoid"),
    ops.Softmax: _softmax,
    ops.Dropout: _dropout,
    ops.DropPath: _droppath,
    ops.Add: _joined("+"),
    ops.Mul: _joined("*"),
    ops.Concat: _concat,
    ops.Flatten: _flatten,
    ops.Slice: _slice,
    ops.Shuffle: _shuffle,
    ops.Upsample: _upsample,
    ops.Pad: _pad,
    ops.Identity: _identity,
    ops.Scale: _scale,
    ops.Affine: _affine,
}
"""One row for each of `ops.GRAPH_OPS`."""

BARE: Mapping[str, str] = {rule.module: op.name for op, rule in TABLE.items() if isinstance(rule, _Bare)}
"""Modules without arguments, with the op's name: a constructor may receive such a class as an argument."""


class Signature(NamedTuple):
    """How a constructor or function is written: the number of positional arguments, and the defaults."""

    positional: int
    defaults: Mapping[str, Literal] = {}


_WINDOW: dict[str, Literal] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
_POOL: dict[str, Literal] = {"padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True}

SIGNATURES: Mapping[str, Signature] = for_all_axes(
    {
        "nn.Conv{n}d": Signature(3, _WINDOW),
        "PaddedConv{n}d": Signature(3, _WINDOW),
        "FixedConv{n}d": Signature(3, {**_WINDOW, "pads": (), "filters": None}),
        "TableConv{n}d": Signature(1, {"stride": 1, "pads": (), "dilation": 1, "bias": True}),
        "nn.ConvTranspose{n}d": Signature(3, {**_WINDOW, "output_padding": 0}),
        "nn.Linear": Signature(2, {"bias": True}),
        "PointwiseLinear": Signature(2, {"bias": True}),
        "Rbf": Signature(2, {"centers": None}),
        "nn.MaxPool{n}d": Signature(1, _POOL),
        "PaddedMaxPool{n}d": Signature(1, _POOL),
        "nn.AvgPool{n}d": Signature(1, _POOL),
        "PaddedAvgPool{n}d": Signature(1, {**_POOL, "inside": False}),
        "nn.AdaptiveAvgPool{n}d": Signature(1),
        "Subsample": Signature(3),
        "nn.BatchNorm{n}d": Signature(1, {"eps": 1e-5, "momentum": 0.1, "affine": True}),
        "nn.GroupNorm": Signature(2, {"eps": 1e-5, "affine": True}),
        "nn.InstanceNorm{n}d": Signature(1, {"eps": 1e-5, "affine": False}),
        "nn.LayerNorm": Signature(1, {"eps": 1e-5, "elementwise_affine": True}),
        "LayerNorm{n}d": Signature(1, {"eps": 1e-5, "elementwise_affine": True}),
        "nn.LocalResponseNorm": Signature(1, {"alpha": 1e-4, "beta": 0.75, "k": 1.0}),
        "nn.PReLU": Signature(1),
        "nn.LeakyReLU": Signature(1),
        "nn.ELU": Signature(1, {"alpha": 1.0}),
        "ScaledTanh": Signature(0, {"a": 1.7159, "s": 2 / 3}),
        "nn.GELU": Signature(0, {"approximate": "none"}),
        "nn.Softmax": Signature(0),
        "nn.Dropout": Signature(1),
        "DropPath": Signature(1),
        "nn.ChannelShuffle": Signature(1),
        "nn.Upsample": Signature(0),
        "nn.ConstantPad{n}d": Signature(2),
        "Affine": Signature(0),
        "F.max_pool{n}d": Signature(3, _POOL),
        "F.avg_pool{n}d": Signature(3, _POOL),
        "F.local_response_norm": Signature(1, {"alpha": 1e-4, "beta": 0.75, "k": 1.0}),
        "F.gelu": Signature(1, {"approximate": "none"}),
        "F.pad": Signature(2, {"value": 0.0}),
    }
)
"""For targets without a row, every argument is written, by name if it has one in the data."""
