"""Converts a layer of another tool, given by its name and arguments, to the ops that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile, takewhile
from typing import Any, NamedTuple

from archdsl.axes import MOST
from archdsl.language.foreign.calls import Call, Hint, Unknown, parse_call
from archdsl.language.foreign.layers import CHANGES, COMMON, IGNORED, Row, field_of, find
from archdsl.language.foreign.sides import sides
from archdsl.language.foreign.write import Answer, Layer, nodes_text
from archdsl.ops import OPS_BY_NAME

NOT_AN_OP = "a node begins with an op, as in `3x3 conv 64`, or calls a block: `{}` is neither"
CURRENT = frozenset(("x", "out", "output", "inputs", "input_tensor", "y", "h", "features"))
"""Names that code uses for the tensor which the next layer reads, where a spec has no node of that name."""


SPATIAL = [tuple(range(first, first + axes)) for axes in range(2, 1 + MOST) for first in (1, 2)]
"""The axes of images and volumes in Keras, channels last or first, without the batch."""


class Converted(NamedTuple):
    """The ops that a layer stands for, the tool it is from, and its arguments without an equivalent."""

    layers: tuple[Layer, ...]
    tool: str
    left_out: tuple[str, ...] = ()
    note: str = ""

    def answer(self, written: Callable[[str], bool] = lambda name: False, axes: int = 0) -> Answer:
        """Return the node to write. `written`: whether the spec has a node of a name; `axes`: those of its input, or 0.

        Raises Hint if an op does not take one of the values.
        """
        layers, unnamed = [], []
        for layer in self.layers:
            current = [name for name in layer.inputs if name in CURRENT and not written(name)]
            if OPS_BY_NAME[layer.op].arity[1] is None:
                unnamed += current
            else:
                layer = layer._replace(inputs=tuple(name for name in layer.inputs if name not in current))
            layers.append(layer)
        left_out = ", ".join(f"`{name[:40]}`" for name in self.left_out)
        verb = "has" if len(self.left_out) == 1 else "have"
        note = (f"; {left_out} {verb} no equivalent here" if left_out else "") + self.note
        if unnamed:
            is_name = "is the name of a node" if len(unnamed) == 1 else "are the names of nodes"
            note += f"; {', '.join(map('`{}`'.format, unnamed))} {is_name} that you choose"
        return Answer(nodes_text(layers, axes), self.tool, note, lossy=bool(self.left_out))


def convert(call: Call) -> Converted:
    """Return the ops that a call stands for. Raises Unknown."""
    module, _, method = call.name.rpartition(".")
    if method in ("Sequential", "ModuleList"):
        items = [item for arg in call.args for item in (arg if isinstance(arg, tuple) else (arg,))]
        return join([convert(item if isinstance(item, Call) else Call(str(item))) for item in items])
    if method in ("view", "reshape") and len(call.args) == 2 and -1 in call.args:
        call, method = Call(f"{module}.flatten"), "flatten"
    if method == "flatten" and module.isidentifier() and find(call.name) is None:  # `x.flatten(1)`
        call = Call("torch.flatten", (module, *call.args), call.keywords)
    row = find(call.name)
    for keyword, item in call.keywords.items():
        if row is not None and (field_of(keyword, row) or "").startswith("case:"):
            row = find(f"{call.name}:{item}")
    if row is not None and not _fits(row, call):
        others = (find(f"{tool}.{call.name}") for tool in COMMON if "." not in call.name)
        row = next((other for other in others if other is not None and _fits(other, call)), row)
    if row is None:
        raise Hint(NOT_AN_OP.format(call.name[:40])) if "." in call.name else Unknown
    before, args, inputs = _split_inputs(row, call)
    if not row.tool and row.params[:1] == ("out",) and args[1:] and (args[2:] or not args[0] > args[1]):
        raise Unknown  # `conv(3, 64, 3)`: the first number may be that of input channels
    fields, left_out = _bind(row, args, call.keywords)
    if left_out and not row.tool:
        raise Unknown  # a misspelt field
    note = _other_version(row, fields)
    return Converted((*before, *_layers(row, fields, inputs)), row.tool, left_out, note + _shift(row, fields))


def _fits(row: Row, call: Call) -> bool:
    """Whether a layer has these keywords, and no number for an argument without influence."""
    odd = any(param == "_" and type(arg) in (int, float) for param, arg in zip(row.params, call.args, strict=False))
    return not odd and all(field_of(keyword, row) for keyword in call.keywords)


def join(parts: Sequence[Converted]) -> Converted:
    """Return layers in a row as one. Raises Unknown if there are none."""
    if not parts:
        raise Unknown
    layers = tuple(layer for part in parts for layer in part.layers)
    tool = next((part.tool for part in parts if part.tool), "")
    left_out = tuple(name for part in parts for name in part.left_out)
    return Converted(layers, tool, left_out, "".join(part.note for part in parts))


def _split_inputs(row: Row, call: Call) -> tuple[Sequence[Layer], Sequence[Any], tuple[str, ...]]:
    """The layers of a call that is an argument, the arguments, and the names of the tensors that are read."""
    args: Sequence[Any] = call.args
    tensors: Sequence[Any] = call.inputs
    if OPS_BY_NAME[row.op].arity[1] is None:
        for number in (arg for arg in args if isinstance(arg, int)):
            _check_axis(row, number)
        return (), (), _names(tensors or call.keywords.get("bottom") or call.keywords.get("inputs") or args)
    if row.params[:1] == ("x",):
        tensors = args[:1] or tensors
    elif args and not row.tool and not row.params:  # `relu(conv1)`
        tensors = args
        args = ()
        if len(tensors) > 1 or not isinstance(tensors[0], (Call, str)):
            raise Unknown
    if tensors and isinstance(tensors[0], Call):
        return convert(tensors[0]).layers, args, ()
    return (), args, _names(tensors)


def _names(item: Any) -> tuple[str, ...]:
    """The names of tensors in an argument. Raises Unknown for a nested call."""
    if isinstance(item, tuple):
        return tuple(name for one in item for name in _names(one))
    if isinstance(item, Call):
        raise Unknown
    return (item,) if isinstance(item, str) else ()


def _bind(row: Row, args: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that the arguments set, and the names of those that set none."""
    bound, left_out = [*zip(row.params, args, strict=False)], [str(arg) for arg in args[len(row.params) :]]
    for keyword, item in keywords.items():
        name = field_of(keyword, row)
        if name is not None:
            bound.append((name, item))
        elif item not in (None, "zeros", "valid") and (item is not False or OPS_BY_NAME[row.op].role == "norm"):
            left_out.append(keyword)
    fields = dict(row.defaults)
    bound = [(name, item) for name, item in bound if name not in IGNORED - {"in"} and not name.startswith("case:")]
    if len(dict(bound)) < len(bound):
        raise Unknown  # an argument is set twice
    for param, item in bound:
        change, _, name = param.rpartition(":")
        if name == "axis":
            _check_axis(row, item)
        else:
            if change in ("pairs", "crops") and isinstance(item, tuple) and len(item) != row.axes:
                item = (item,)  # the pair of a signal
            if change == "lrtb" and isinstance(item, tuple) and len(item) != 2 * (row.axes or len(item) // 2):
                raise Unknown
            fields[name] = CHANGES[change](item) if change else item
    return {name: item for name, item in fields.items() if item is not None}, tuple(left_out)


def _check_axis(row: Row, axis: Any) -> None:
    """Raises Hint for an axis that is not that of the channels, in the order of the axes of the tool."""
    channels = (
        (-1, 3)
        if (row.tool, row.op) == ("Keras", "concat")
        else (1, -1, 3)
        if row.tool == "Keras"
        else (1, -3, -1)
        if row.op == "softmax"
        else (1, -3)
    )
    if axis not in channels:
        raise Hint(f"`{row.op}` works over the channels, and not over axis {axis}")


def _layers(row: Row, fields: dict[str, Any], inputs: tuple[str, ...]) -> list[Layer]:
    """The op with its norm and activation, as words of its node, or as layers of their own if they have fields."""
    op = row.op
    if op == "dwconv" and "out" in fields:  # separable
        point: dict[str, Any] = {"kernel": 1, **{k: fields.pop(k) for k in ("out", "bias", "act") if k in fields}}
        return [*_layers(row, {**fields, "bias": False}, inputs), *_layers(row._replace(op="conv"), point, ())]
    parts = [part for role in ("norm", "act") for part in _parts(role, fields.pop(role, None), row.tool)]
    op, fields = _own_form(*_own_op(op, dict(fields), row.tool), fields.get("in"))
    fields, cropped = sides(op, fields, row.axes)
    known = OPS_BY_NAME[op].model_fields
    missing = [f"`{name}`" for name, f in known.items() if f.is_required() and name not in fields]
    if missing:
        raise Hint(f"`{op}` needs {' and '.join(missing)}, e.g. `{OPS_BY_NAME[op].example.text}`")
    if fields.keys() - known:
        raise Unknown
    kernel, out = fields.get("kernel"), fields.get("out")
    if op == "conv" and isinstance(kernel, int) and isinstance(out, int) and kernel > max(out, 11):
        raise Unknown  # probably the order of another tool: input channels, output channels, window
    if op == "identity" and parts:
        return [parts[0]._replace(inputs=inputs), *parts[1:]]
    words = {str(OPS_BY_NAME[part.op].role): part.op for part in takewhile(lambda part: not part.fields, parts)}
    return [Layer(op, {**fields, **words}, inputs, row.axes), *cropped, *dropwhile(lambda part: not part.fields, parts)]


def _parts(role: str, item: Any, tool: str) -> Sequence[Layer]:
    """The norm or activation that `'relu'`, `nn.ReLU()` or `true` names; none for `linear`. Raises Unknown."""
    if item in (None, False, 0) or str(item).lower().rpartition(".")[2] in ("linear", "none", "identity", "false"):
        return ()
    if role == "norm" and item in (True, 1):
        return (Layer("bn", {}),)
    call = item if isinstance(item, Call) else parse_call(str(item))
    layers = convert(replace(call, name=f"{tool}.{call.name}") if tool and "." not in call.name else call).layers
    if len(layers) > 1 or OPS_BY_NAME[layers[0].op].role != role:
        raise Unknown
    return layers


def _own_op(op: str, fields: dict[str, Any], tool: str) -> tuple[str, dict[str, Any]]:
    """The op that a layer is with these arguments. Raises Hint for values without an equivalent."""
    if op == "relu":
        largest, slope, threshold = (fields.pop(name, None) for name in ("max_value", "slope", "threshold"))
        if threshold or largest not in (None, 6) or (largest and slope):
            raise Hint("`relu` has no limit, `relu6` has the limit 6, and `leaky_relu 0.1` has the slope 0.1 below 0")
        return ("relu6", fields) if largest else ("leaky_relu", {**fields, "slope": slope}) if slope else (op, fields)
    if op == "clip" and tool and not {"low", "high"} <= fields.keys():
        raise Hint("`clip` has two limits, as in `clip 0 6`; `relu` has the lower limit 0 alone")
    if op in ("pixelshuffle", "pixelunshuffle") and tool == "Keras":
        raise Hint(f"TensorFlow has another order of channels: those of a pixel are neighbours in `{op} 2`")
    if op == "upsample" and "size" in fields:
        raise Hint("`upsample 2` has a factor, and `upsample like=input` resizes to the sizes of another node")
    if op == "conv" and "eps" in fields:  # standardized filters
        fields |= {"standardize": fields.pop("eps"), "gain": fields.pop("gamma", None)}
        fields = {name: item for name, item in fields.items() if item is not None}
        fields.setdefault("pad", _half(fields))
    if OPS_BY_NAME[op].role == "norm":
        learned = [fields.pop(name, None) for name in ("center", "scale", "elementwise_affine")]
        if learned[:2] in ([False, None], [None, False], [False, True], [True, False]):
            raise Hint(f"`{op}` has both a scale and a shift, or none with `{op} affine=false`")
        if False in learned:
            fields["affine"] = False
    if op == "bn" and fields.pop("track_running_stats", True) is False:
        raise Hint("`bn` computes with its running statistics after training: there is no norm over the batch alone")
    if "num_parameters" in fields:
        fields["shared"] = fields.pop("num_parameters") == 1
    axes = fields.pop("shared_axes", None)
    if op == "prelu" and tool == "Keras" and axes not in SPATIAL:
        raise Hint("`prelu` has one slope per channel, as `PReLU(shared_axes=[1, 2])`, and `prelu shared` a single one")
    return op, fields


def _other_version(row: Row, fields: Mapping[str, Any]) -> str:
    """A note if the layer meant another function in an earlier version of its tool."""
    hard = row.op == "hardsigmoid" or "hard_sigmoid" in str(fields.get("act"))
    return "; in Keras 2 it was `hardsigmoid alpha=0.2`" if row.tool == "Keras" and hard else ""


def _half(fields: Mapping[str, Any]) -> Any:
    """The padding of timm: half of what the window reaches beyond its stride. Raises Unknown for other values."""
    kernel, stride, dilation = (fields.get(name, 1) for name in ("kernel", "stride", "dilation"))
    if not all(type(item) is int for item in (kernel, stride, dilation)):
        raise Unknown
    return (stride - 1 + dilation * (kernel - 1)) // 2


def _shift(row: Row, fields: Mapping[str, Any]) -> str:
    """A note if Keras pads or crops another side than the op. Raises Hint if the sizes differ."""
    if (row.tool, row.op, str(fields.get("pad")).lower()) != ("Keras", "deconv", "same"):
        return ""
    values = (fields.get(name, 1) for name in ("kernel", "stride", "dilation"))
    kernel, stride, dilation = (item if isinstance(item, tuple) else (item,) * row.axes for item in values)
    if not all(type(size) is int for size in (*kernel, *stride, *dilation)):
        return ""
    surplus = [d * (k - 1) + 1 - s for k, s, d in zip(kernel, stride, dilation, strict=True)]
    if not any(size > 0 and size % 2 for size in surplus):
        return ""
    if any(size % 2 and s == d == 1 for size, s, d in zip(surplus, stride, dilation, strict=True)):
        raise Hint("an even `deconv` with stride 1 cannot keep the size of its input: use an odd window")
    return "; Keras crops one pixel more at the end, and `deconv` at the start: the output is shifted by one pixel"


def _ones(kernel: Any) -> bool:
    return {1} == ({*kernel} if isinstance(kernel, tuple) else {kernel})


def _own_form(op: str, fields: dict[str, Any], channels: Any) -> tuple[str, dict[str, Any]]:
    """The op and fields by which archdsl writes a layer with this number of input channels."""
    fields.pop("in", None)
    if op == "ln" and isinstance(channels, tuple) and len(channels) > 1:
        raise Hint("`ln` works over the channels of each pixel; `gn 1` works over all pixels")
    if op == "conv" and fields.get("groups", 1) != 1 and fields["groups"] == channels == fields.get("out"):
        return "dwconv", {name: item for name, item in fields.items() if name not in ("out", "groups")}
    if op == "avgpool" and fields.get("adaptive") and _ones(fields.get("kernel")):
        return "gap", {}
    if op == "avgpool" and fields.get("pad") in (None, 0, "valid"):
        fields.pop("inside", None)
    if "padding" in fields:
        fields["pad"] = fields.pop("padding")
    if fields.get("pad") == "half":  # Darknet pads a pool by `size - 1`, the smaller half before
        kernel = fields.get("kernel", 1)
        fields["pad"] = kernel // 2 if op == "conv" or kernel % 2 else "same"
        if fields["pad"] == "same" and kernel == fields.get("stride"):
            del fields["pad"]
    return op, fields
