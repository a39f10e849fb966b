"""Import rules of ops with weights."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from archdsl import ops
from archdsl.axes import uniform
from archdsl.frontends.constants import constant_before
from archdsl.frontends.layout import Axes, joined, positions, standard, tidy
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.onnx_ops.values import added_bias, is_gate, per_channel, unary
from archdsl.frontends.state import ImportState, Unsupported, single
from archdsl.shapes import Pads


def module_of(state: ImportState, node: SourceNode, index: int = 1) -> str | None:
    """The module that owns a weight, from the weight's name: `layer1.0.conv1.weight`."""
    name = node.inputs[index]
    module, _, last = state.model.origins.get(name, name).rpartition(".")
    return module if last in ("weight", "bias", "running_mean") else node.module


def bias_of(state: ImportState, node: SourceNode, index: int) -> dict[str, Array]:
    bias = state.constant(node, index)
    return {} if bias is None else {"bias": bias}


def per_axis(node: SourceNode, name: str, count: int, default: int = 1) -> tuple[int, ...]:
    """The attribute `name`, a number for each axis (or for each side). Raises `Unsupported` for another count."""
    value = tuple(node.attributes.get(name, (default,) * count))
    if len(value) != count:
        raise Unsupported(f"its `{name}` has {len(value)} numbers; its input needs {count}")
    return value


def pads_of(state: ImportState, node: SourceNode, kernel: tuple[int, ...]) -> Pads:
    """The pixels around the input of a convolution or pool."""
    axes, auto = len(kernel), node.attributes.get("auto_pad", "NOTSET")
    if auto == "VALID":
        return Pads((0,) * (2 * axes))
    if auto == "NOTSET":
        return Pads(per_axis(node, "pads", 2 * axes, 0))
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise Unsupported(f"archdsl does not know the padding `{auto}`")
    before, after = [], []
    sizes, strides = state.shape(node.inputs[0])[1:], per_axis(node, "strides", axes)
    for size, window, stride, dilation in zip(sizes, kernel, strides, per_axis(node, "dilations", axes), strict=True):
        total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        before.append(less if auto == "SAME_UPPER" else more)
        after.append(more if auto == "SAME_UPPER" else less)
    return Pads.of(before, after)


def pad_field(state: ImportState, node: SourceNode, kernel: tuple[int, ...]) -> Any:
    """The field `pad` of a convolution or pool; ONNX's `SAME_UPPER` is TensorFlow's padding."""
    if node.attributes.get("auto_pad") == "SAME_UPPER":
        return "same"
    return uniform(tuple(pads_of(state, node, kernel)))


def window_of(state: ImportState, node: SourceNode, weight: Array) -> tuple[int, ...]:
    """The kernel of a convolution, from its weight."""
    kernel = weight.shape[2:]
    if len(kernel) != state.axes(node.inputs[0]) or not kernel:
        raise Unsupported(f"its window has {len(kernel)} axes, its input {state.axes(node.inputs[0])}")
    if per_axis(node, "kernel_shape", len(kernel)) != kernel and "kernel_shape" in node.attributes:
        raise Unsupported("its `kernel_shape` is not that of its weight")
    return kernel


def conv(state: ImportState, node: SourceNode) -> None:
    weight = state.require_constant(node, 1, "weight")
    if channelconv(state, node, weight):
        return
    node = state.with_standard_inputs(node)
    bias, output = bias_of(state, node, 2), node.outputs[0]
    gain = state.constant(node, 3)  # of standardized filters, for which ONNX has no op
    kernel = window_of(state, node, weight)
    added = None if bias else added_bias(state, node, weight.shape[0], len(kernel) + 1)
    if added is not None:
        output, bias = added[0], {"bias": added[1]}
    op = ops.Conv(
        out=weight.shape[0],
        kernel=kernel,
        stride=per_axis(node, "strides", len(kernel)),
        dilation=per_axis(node, "dilations", len(kernel)),
        groups=node.attributes.get("group", 1),
        bias=bool(bias),
        standardize=node.attributes.get("standardize"),
        gain=node.attributes.get("gain"),
    )
    shape, padded = state.shape(node.inputs[0]), op.model_copy(update={"pad": pad_field(state, node, kernel)})
    if padded.pads(shape) != op.pads(shape):
        op = padded
    tensors = {"weight": weight, **bias, **({} if gain is None else {"gain": gain})}
    state.add(node, op, output, tensors, module=module_of(state, node))


def channelconv(state: ImportState, node: SourceNode, weight: Array) -> bool:
    """A convolution along the channels, which are an axis behind one channel; pixels may be a further axis."""
    view, shape = state.view(node.inputs[0]), state.shape(node.inputs[0])
    size, rest = weight.size, len(view.axes) - 2
    if not 0 <= rest <= 1 or shape[0] == 1 or tidy(view.axes[0]) or tidy(view.axes[1]) != tidy(standard(shape)[0]):
        return False
    side, pads = (size // 2, *[0] * rest), pads_of(state, node, weight.shape[2:])
    plain = all(set(node.attributes.get(name, (1,))) == {1} for name in ("strides", "dilations"))
    if weight.shape != (1, 1, size, *[1] * rest) or size % 2 == 0 or tuple(pads) != (*side, *side) or not plain:
        return False
    bias = bias_of(state, node, 2)
    op, tensors = ops.ChannelConv(size=size, bias=bool(bias)), {"weight": weight.reshape(1, 1, size), **bias}
    state.add(node, op, node.outputs[0], tensors, module=module_of(state, node), axes=view.axes)
    return True


def deconv(state: ImportState, node: SourceNode) -> None:
    weight = state.require_constant(node, 1, "weight")
    kernel = window_of(state, node, weight)
    if "output_shape" in node.attributes or node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Unsupported("its padding depends on the size of its output (auto_pad, output_shape)")
    pads, extra = pads_of(state, node, kernel), per_axis(node, "output_padding", len(kernel), 0)
    fits = len(set(pads)) == 1 and len(set(extra)) == 1
    crops = tuple(-pad for pad in pads.begins), tuple(more - pad for pad, more in zip(pads.ends, extra, strict=True))
    if not fits and max(*crops[0], *crops[1]) > 0:
        raise Unsupported("its padding is not the same on all edges, and its output is padded beyond it")
    groups, bias, output = node.attributes.get("group", 1), bias_of(state, node, 2), node.outputs[0]
    added = None if bias else added_bias(state, node, weight.shape[1] * groups, len(kernel) + 1)
    if added is not None:
        output, bias = added[0], {"bias": added[1]}
    op = ops.Deconv(
        out=weight.shape[1] * groups,
        kernel=kernel,
        stride=per_axis(node, "strides", len(kernel)),
        groups=groups,
        dilation=per_axis(node, "dilations", len(kernel)),
        pad=pads[0] if fits else 0,
        extra=extra[0] if fits else 0,
        bias=bool(bias),
    )
    whole = output if fits else f"{output}/whole"
    state.add(node, op, whole, {"weight": weight, **bias}, module=module_of(state, node))
    if not fits:
        state.add(node, ops.Pad(pixels=(*crops[0], *crops[1])), output, inputs=[whole])


# --- fully connected ---------------------------------------------------------------------------------------------


def gemm(state: ImportState, node: SourceNode) -> None:
    attributes = node.attributes
    weight, shift = state.require_constant(node, 1, "weight"), state.constant(node, 2)
    if attributes.get("transA", 0) or weight.ndim != 2:
        raise Unsupported("it is not a plain fully connected layer")
    weight = weight if attributes.get("transB", 0) else weight.T
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    weight = weight if alpha == 1 else weight * weight.dtype.type(alpha)
    bias, output = None, node.outputs[0]
    if shift is not None:
        if shift.ndim > 2 or shift.shape not in ((), (1,), (1, 1), weight.shape[:1], (1, weight.shape[0])):
            raise Unsupported("its bias is not one number for each output")
        bias = np.broadcast_to(shift.reshape(-1) if beta == 1 else shift.reshape(-1) * beta, weight.shape[:1])
        bias = bias.astype(shift.dtype, copy=False)
    elif (added := added_bias(state, node, weight.shape[0], 1)) is not None:
        output, bias = added
    fully_connected(state, node, weight, bias, output)


def matmul(state: ImportState, node: SourceNode) -> None:
    """A product with a matrix, and the Add of a bias after it."""
    weight = state.require_constant(node, 1, "matrix")
    if weight.ndim != 2:
        raise Unsupported("its matrix does not have two axes")
    added = added_bias(state, node, weight.shape[1], 1)
    output, bias = (node.outputs[0], None) if added is None else added
    fully_connected(state, node, weight.T, bias, output)


def fully_connected(state: ImportState, node: SourceNode, weight: Array, bias: Array | None, output: str) -> None:
    """A layer along the last axis, with a weight of shape (outputs, inputs).

    Flattened pixels may be in any order: the columns of the weight are sorted. If the vector of a gate is an image of
    one pixel again later, the layer runs at that pixel.
    """
    name, view, shape = node.inputs[0], state.view(node.inputs[0]), state.shape(node.inputs[0])
    tensors = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    module, last = module_of(state, node), view.axes[-1]
    fc = ops.Fc(out=weight.shape[0], bias=bias is not None)
    vector = len(shape) == 1
    if state.is_channels(name, last) and (vector or len(view.axes) > 1 or is_gate(state, node)):
        op = fc if vector else fc.model_copy(update={"kernel": (1,) * (len(shape) - 1)})
        after = standard((weight.shape[0],))[0]
        state.add(node, op, output, tensors, module=module, axes=(*view.axes[:-1], after))
        return
    if len(view.axes) > 1:
        raise Unsupported("it multiplies another axis than the channels")
    if weight.shape[1] != prod(shape):
        raise Unsupported(f"its matrix is for {weight.shape[1]} numbers, not {prod(shape)}")
    order = positions(view.axes, shape)
    if not np.array_equal(order, np.arange(order.size)):
        sorted_weight = np.empty_like(weight)
        sorted_weight[:, order] = weight
        tensors["weight"] = sorted_weight
    flat = _flattened(state, node, name)
    state.add(node, fc, output, tensors, inputs=[flat], module=module)


def _flattened(state: ImportState, node: SourceNode, name: str) -> str:
    """The value of a tensor as a vector, channel by channel."""
    if len(state.shape(name)) == 1:
        return state.value(name)
    flat = f"{name}/in order"
    whole: Axes = (joined(standard(state.shape(name))),)
    state.alias(flat, name, whole)
    return state.standard(flat)


# --- norms -------------------------------------------------------------------------------------------------------


def bn(state: ImportState, node: SourceNode) -> None:
    view = state.view(node.inputs[0])
    if not state.is_channels(node.inputs[0], view.axes[0]):
        raise Unsupported("its second axis is not the channels")
    statistics = {name: state.require_constant(node, n + 3, name) for n, name in enumerate(_STATISTICS)}
    if (statistics["running_var"] < 0).any():
        raise Unsupported("its variance is negative")
    learned = learned_scale_and_shift(state, node)
    module = module_of(state, node, 1 if learned else 3)
    batches = state.constants.get(f"{module}.num_batches_tracked", np.zeros((), np.int64))
    tensors = {**learned, **statistics, "num_batches_tracked": batches}
    eps, kept = (single(node.attributes.get(name, default)) for name, default in _BN_NUMBERS)
    op = ops.Bn(eps=eps, momentum=single(1 - kept), affine=bool(learned))
    unary(state, node, op, tensors=tensors, module=module)


_BN_NUMBERS = (("epsilon", 1e-5), ("momentum", 0.9))
_STATISTICS = ("running_mean", "running_var")


def learned_scale_and_shift(state: ImportState, node: SourceNode, repeats: int = 1) -> dict[str, Array]:
    """The learned tensors of a norm; none if the scale is 1 and the shift 0, and no module owns them.

    `repeats`: each number is that of as many channels.
    """
    weight, shift = state.require_constant(node, 1, "scale"), state.constant(node, 2)
    tensors = {"weight": weight, "bias": shift if shift is not None else np.zeros_like(weight)}
    owned = node.inputs[1].rpartition(".")[2] == "weight" and repeats == 1
    if not owned and (weight == 1).all() and not tensors["bias"].any():
        return {}
    return {name: array if repeats == 1 else np.repeat(array, repeats) for name, array in tensors.items()}


def groupnorm(state: ImportState, node: SourceNode) -> None:
    view, channels = state.view(node.inputs[0]), state.shape(node.inputs[0])[0]
    if not state.is_channels(node.inputs[0], view.axes[0]):
        raise Unsupported("its second axis is not the channels")
    groups = node.attributes["num_groups"]
    if groups < 1 or channels % groups:
        raise Unsupported(f"{channels} channels cannot be divided into {groups} groups")
    repeats = channels // groups if node.attributes.get("per_group") else 1
    learned = learned_scale_and_shift(state, node, repeats)
    op = ops.Gn(groups=groups, eps=single(node.attributes.get("epsilon", 1e-5)), affine=bool(learned))
    unary(state, node, op, tensors=learned, module=module_of(state, node))


def instancenorm(state: ImportState, node: SourceNode) -> None:
    """An instance norm; or a group norm, if the second axis of its input is groups of channels."""
    name, (groups, *_), shape = node.inputs[0], state.view(node.inputs[0]).axes, state.shape(node.inputs[0])
    eps = single(node.attributes.get("epsilon", 1e-5))
    module = module_of(state, node)
    if state.is_channels(name, groups) and len(shape) > 1:
        learned = learned_scale_and_shift(state, node)
        unary(state, node, ops.InstanceNorm(eps=eps, affine=bool(learned)), tensors=learned, module=module)
        return
    count = prod(size for _, _, size in tidy(groups))
    if tidy(groups) != tidy([(0, shape[0] // count, count)]):
        raise Unsupported("its second axis is neither the channels nor groups of them")
    learned = learned_scale_and_shift(state, node, shape[0] // count)
    unary(state, node, ops.Gn(groups=count, eps=eps, affine=bool(learned)), tensors=learned, module=module)


def ln(state: ImportState, node: SourceNode) -> None:
    name, axis = node.inputs[0], state.axis(node, -1)
    if not state.is_channels(name, joined(state.view(name).axes[axis:])):
        raise Unsupported("it does not normalise the channel axis alone")
    learned = learned_scale_and_shift(state, node)  # vectors: other shapes would be repeated along other axes
    op = ops.Ln(eps=single(node.attributes.get("epsilon", 1e-5)), affine=bool(learned))
    unary(state, node, op, tensors=learned, module=module_of(state, node))


def lrn(state: ImportState, node: SourceNode) -> None:
    attributes = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0, **node.attributes}
    alpha, beta, k = (single(attributes[name]) for name in ("alpha", "beta", "bias"))
    if attributes["size"] % 2 == 0 and not state.model.classes:  # a module's window begins one channel earlier
        raise Unsupported("its window of an even size has its middle elsewhere than that of a spec")
    state.add(node, ops.Lrn(size=attributes["size"], alpha=alpha, beta=beta, k=k), node.outputs[0])


def lrn_by_pool(state: ImportState, node: SourceNode) -> bool:
    """The nodes that archdsl writes for an LRN: x*x, a mean over channels by an average pool, the division of x."""
    chain = [node]
    indices: list[int] = []
    for op_type in ("Reshape", "Pad", "AveragePool", "Reshape", "Mul", "Add", "Pow", "Div"):
        reader = state.only_reader(chain[-1].outputs[0], op_type)
        if reader is None:
            return False
        indices.append(reader[0])
        chain.append(reader[1])
    _, rows, pad, pool, back, mul, add, power, div = chain
    shape = (state.batch, *state.shape(node.inputs[0]))
    first, second = (constant_before(state, i, n.inputs[1]) for i, n in ((indices[0], rows), (indices[3], back)))
    if first is None or second is None or not state.is_standard(node.inputs[0]):
        return False
    apart = resolved(shape, first)
    if apart != (shape[0], 1, shape[1], prod(shape[2:])) or resolved(apart, second) != shape:
        return False
    (size, width), pads = pool.attributes["kernel_shape"], state.require_constant(pad, 1, "padding")
    strides = {*pool.attributes.get("strides", (1,)), *pool.attributes.get("dilations", (1,))}
    plain = strides == {1} and not {*pool.attributes.get("pads", (0,))} - {0}
    if width != 1 or not plain or [*pads] != [0, 0, size // 2, 0, 0, 0, (size - 1) // 2, 0]:
        return False
    if div.inputs != (node.inputs[0], power.outputs[0]) or pad.attributes.get("mode", "constant") != "constant":
        return False
    if pool.attributes.get("ceil_mode", 0) or not pool.attributes.get("count_include_pad", 1):
        return False
    filled = state.constant(pad, 2)
    if filled is not None and filled.any():
        return False
    alpha, k, beta = (single(float(state.require_constant(s, 1, "constant").reshape(()))) for s in (mul, add, power))
    state.consumed.update(indices)
    state.add(node, ops.Lrn(size=size, alpha=alpha, beta=beta, k=k), div.outputs[0])
    return True


def resolved(shape: tuple[int, ...], target: Array) -> tuple[int, ...]:
    """The shape that a Reshape makes of another one: 0 copies a size, -1 is the rest."""
    sizes = [shape[axis] if size == 0 and axis < len(shape) else int(size) for axis, size in enumerate(target)]
    known = prod(size for size in sizes if size != -1)
    return tuple(prod(shape) // known if size == -1 and known else size for size in sizes)


def prelu(state: ImportState, node: SourceNode) -> None:
    slopes = per_channel(state, node.inputs[0], state.require_constant(node, 1, "slope")).reshape(-1)
    op = ops.PRelu(shared=slopes.size == 1)
    unary(state, node, op, tensors={"weight": slopes}, module=module_of(state, node))
