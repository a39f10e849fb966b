"""Converts a layer of another tool, given by its name and arguments, to the ops that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from archdsl.language.foreign.calls import Call, Name, NotACall, parse_call
from archdsl.language.foreign.layers import IGNORED, Row, field_of, find
from archdsl.language.foreign.write import Layer
from archdsl.ops import OPS_BY_NAME


class Unknown(Exception):
    """There is no such layer, or an argument has no equivalent that could be left out."""


class Hint(Unknown):
    """The layer is known, but there is no node to propose: `help` says what is missing."""

    def __init__(self, help: str) -> None:
        self.help = help


NEITHER = "a node begins with an op, as in `3x3 conv 64`, or calls a block: `{}` is neither"


class Converted(NamedTuple):
    """The ops that a layer stands for, the tool it is from, and its arguments without an equivalent."""

    layers: tuple[Layer, ...]
    tool: str
    left_out: tuple[str, ...] = ()


CURRENT = frozenset(("x", "out", "output", "inputs", "input_tensor", "y", "h", "features"))
"""Names that code uses for the tensor which the next layer reads."""


def convert_call(call: Call) -> Converted:
    """Return the ops of a call. Raises Unknown."""
    module, _, method = call.name.rpartition(".")
    if method in ("Sequential", "ModuleList"):
        return _sequential([a for arg in call.args for a in (arg if isinstance(arg, tuple) else (arg,))])
    flat = method in ("view", "reshape") and len(call.args) == 2 and -1 in call.args
    if module not in ("", "torch", "nn", "layers") and (flat or (method == "flatten" and module.isidentifier())):
        return Converted((Layer("flatten", {}, _names(Name(module))),), "PyTorch")
    row = find(call.name)
    if row is None:
        raise Hint(NEITHER.format(call.name[:40])) if "." in call.name else Unknown
    return convert(row, call.args, call.keywords, call.inputs)


def _sequential(items: Sequence[Any]) -> Converted:
    parts = [convert_call(item) if isinstance(item, Call) else None for item in items]
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        raise Unknown
    layers = tuple(layer for part in known for layer in part.layers)
    return Converted(layers, known[0].tool, tuple(name for part in known for name in part.left_out))


def convert(row: Row, args: Sequence[Any], keywords: Mapping[str, Any], inputs: Sequence[Any] = ()) -> Converted:
    """Return the ops of a layer with these arguments, applied to `inputs`. Raises Unknown."""
    before: tuple[Layer, ...] = ()
    names = [name for item in inputs for name in _names(item)]
    op = OPS_BY_NAME.get(row.op)
    if op is not None and op.arity[1] is None:
        names += [name for arg in args for name in _names(arg)] if not names else []
        numbers = [arg for arg in args if isinstance(arg, int)]
        keywords = {**keywords, "axis": numbers[0]} if numbers else keywords
        args = ()
    elif args and (row.params[:1] == ("x",) or (row.tool == "" and not row.params)):
        if isinstance(args[0], Call):
            before = convert_call(args[0]).layers
        else:
            names = [*_names(args[0])]
        if not row.params and not (len(args) == 1 and isinstance(args[0], (Call, Name))):
            raise Unknown
        args = args if row.params else ()
    if not row.tool and "out" in row.params[:1] and (len(args) > 2 or (len(args) == 2 and not _descending(args))):
        raise Unknown  # `conv(3, 64, 3)`: the first number may be that of input channels
    fields, left_out = _bound(row, args, keywords)
    if left_out and not row.tool:
        raise Unknown  # a misspelt field
    main, *after = SPECIAL[row.op](fields) if row.op in SPECIAL else [Layer(row.op, fields)]
    layers = [*before, *_with_parts(main._replace(inputs=tuple(names))), *(a for n in after for a in _with_parts(n))]
    return Converted(tuple(layers), row.tool, left_out)


def _descending(args: Sequence[Any]) -> bool:
    return all(isinstance(arg, int) for arg in args) and args[0] > args[1]


def _names(item: Any) -> tuple[str, ...]:
    """The names of tensors in an argument; none for `x`. Raises Unknown for a nested call."""
    if isinstance(item, tuple):
        return tuple(name for one in item for name in _names(one))
    if isinstance(item, Call):
        raise Unknown
    if not isinstance(item, Name):
        return ()
    return () if item in CURRENT else (item,)


def _bound(row: Row, args: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that the arguments set, and the names of those that set none."""
    fields, left_out = dict(row.defaults), []
    bound = [*zip(row.params, args, strict=False)]
    left_out += [str(arg) for arg in args[len(row.params) :]]
    for keyword, item in keywords.items():
        name = field_of(keyword, row)
        if name is None and item not in (None, False, "zeros", "valid"):
            left_out.append(keyword)
        elif name is not None:
            bound.append((name, item))
    if len({name for name, _ in bound} - IGNORED) < sum(name not in IGNORED for name, _ in bound):
        raise Unknown  # an argument is set twice
    for name, item in bound:
        if name.startswith("!"):
            fields[name[1:]] = not item
        elif name.startswith("1-"):
            fields[name[2:]] = round(1 - item, 6) if isinstance(item, (int, float)) else None
        elif name == "axis":
            _check_axis(row, item)
        elif name not in IGNORED or name == "in":
            fields[name] = item
    return fields, tuple(left_out)


def _check_axis(row: Row, axis: Any) -> None:
    """Raises Hint for an axis that is not that of the channels, in the order of the axes of the tool."""
    channels = (1, -1, 3) if row.tool == "Keras" else (1, -3, -1) if row.op == "softmax" else (1, -3)
    if axis not in channels:
        raise Hint(f"`{row.op}` works over the channels, and not over axis {axis}")


def _with_parts(layer: Layer) -> list[Layer]:
    """The layer with its norm and activation as words, and only fields of its op; an activation with fields follows."""
    fields = dict(layer.fields)
    act = activation(fields.pop("act", None))
    norm = _norm(fields.pop("norm", None))
    channels = fields.pop("in", None)
    groups, out = fields.get("groups"), fields.get("out")
    op = layer.op
    if op == "ln" and isinstance(channels, tuple) and len(channels) > 1:
        raise Hint("`ln` works over the channels of each pixel; `gn 1` works over the whole image")
    if op == "conv" and groups not in (None, 1) and groups == channels and out == channels:
        op = "dwconv"
        fields.pop("groups")
    elif op == "gn" and groups is None and isinstance(channels, int):
        fields.pop("groups", None)
    if op == "avgpool" and fields.get("adaptive") and fields.get("kernel") in (1, (1, 1)):
        op, fields = "gap", {}
    if op == "avgpool" and fields.get("pad") in (None, 0, "valid"):
        fields.pop("inside", None)
    known = OPS_BY_NAME[op].model_fields
    fields = {name: item for name, item in fields.items() if name in known}
    if any(f.is_required() and fields.get(name) is None for name, f in known.items()):
        needed = " and ".join(f"`{name}`" for name, f in known.items() if f.is_required())
        raise Hint(f"`{op}` needs {needed}, e.g. `{OPS_BY_NAME[op].example.text}`")
    kernel, out = fields.get("kernel"), fields.get("out")
    if op == "conv" and isinstance(kernel, int) and isinstance(out, int) and kernel > max(out, 11):
        raise Unknown  # probably the order of another tool: input channels, output channels, window
    if op == "fc":
        fields.pop("kernel", None)
    parts = {k: v for k, v in (("norm", norm), ("act", act.op if act and not act.fields else None)) if v}
    main = Layer(op, {**fields, **parts}, layer.inputs)
    return [main, act] if act is not None and act.fields else [main]


def activation(item: Any) -> Layer | None:
    """Return the activation that `'relu'`, `nn.ReLU()` or `leaky` names; None for `linear`. Raises Unknown."""
    if isinstance(item, str) and not isinstance(item, Name) and "(" in item:
        try:
            item = parse_call(item)
        except NotACall:
            raise Unknown from None
    if isinstance(item, Call):
        (layer, *more) = convert_call(item).layers
        if more or OPS_BY_NAME[layer.op].role != "act":
            raise Unknown
        return layer
    if item is None or str(item).lower().rpartition(".")[2] in ("linear", "none", "identity", "false"):
        return None
    word = str(item).rpartition(".")[2]
    special = {"leaky": 0.1, "leaky_relu": 0.2}.get(word.lower())  # Darknet, Keras
    row = find("logistic" if word.lower() == "logistic" else word)
    if special is not None and not isinstance(item, Name):
        return Layer("leaky_relu", {"slope": special})
    op = "sigmoid" if word.lower() == "logistic" else row.op if row is not None else ""
    if op not in OPS_BY_NAME or OPS_BY_NAME[op].role != "act":
        raise Unknown
    return Layer(op, {})


def _norm(item: Any) -> str | None:
    if item in (None, False, 0, "none", "None"):
        return None
    if item in (True, 1):
        return "bn"
    row = find(item.name if isinstance(item, Call) else str(item))
    if row is None or row.op not in OPS_BY_NAME or OPS_BY_NAME[row.op].role != "norm":
        raise Unknown
    return row.op


# --- layers that are more than one op with other names ----------------------------------------------------


def _activation(fields: dict[str, Any]) -> list[Layer]:
    layer = activation(fields.get("act"))
    return [layer or Layer("identity", {})]


def _separable(fields: dict[str, Any]) -> list[Layer]:
    window = {k: fields.get(k) for k in ("kernel", "stride", "pad", "dilation", "multiplier")}
    point = {k: fields.get(k) for k in ("out", "bias", "act")}
    return [Layer("dwconv", {**window, "bias": False}), Layer("conv", {**point, "kernel": 1})]


def _pooling(fields: dict[str, Any]) -> list[Layer]:
    kind = str(fields.pop("pool", "MAX")).upper()
    if fields.pop("global_pooling", False):
        if kind == "MAX":
            raise Unknown
        return [Layer("gap", {})]
    return [Layer("avgpool" if kind.startswith("AV") else "maxpool", fields)]


def _eltwise(fields: dict[str, Any]) -> list[Layer]:
    kind = str(fields.get("operation", "SUM")).upper()
    if kind not in ("SUM", "PROD"):
        raise Unknown
    return [Layer("add" if kind == "SUM" else "mul", {})]


def _torch_pad(fields: dict[str, Any]) -> list[Layer]:
    """`nn.ZeroPad2d` lists left, right, top, bottom; `pad` lists top, left, bottom, right."""
    sides = fields.get("pixels")
    if isinstance(sides, tuple) and len(sides) == 4:
        sides = (sides[2], sides[0], sides[3], sides[1])
    return [Layer("pad", {"pixels": sides})]


def _keras_pad(fields: dict[str, Any]) -> list[Layer]:
    """Keras has one number, `(rows, columns)`, or `((top, bottom), (left, right))`."""
    sides = fields.get("pixels")
    if isinstance(sides, tuple):
        (top, bottom), (left, right) = (side if isinstance(side, tuple) else (side, side) for side in sides)
        sides = (top, left, bottom, right)
        sides = top if len(set(sides)) == 1 else sides
    return [Layer("pad", {"pixels": sides})]


def _darknet_conv(fields: dict[str, Any]) -> list[Layer]:
    size = fields.get("kernel") or fields.pop("size", 1)
    padding = size // 2 if fields.get("pad") else fields.get("padding", 0)
    known = {k: fields.get(k) for k in ("out", "stride", "groups", "norm")}
    return [Layer("conv", {**known, "kernel": size, "pad": padding, "act": fields.get("act", "logistic")})]


def _darknet_pool(fields: dict[str, Any]) -> list[Layer]:
    """Darknet pads by `size - 1`, the smaller half before."""
    size = fields.get("kernel") or fields.get("size") or fields.get("stride", 1)
    stride = fields.get("stride", 1)
    pad: Any = "same" if size % 2 == 0 else size // 2
    return [Layer("maxpool", {"kernel": size, "stride": stride, "pad": None if size == stride else pad})]


def _darknet_fc(fields: dict[str, Any]) -> list[Layer]:
    return [Layer("fc", {"out": fields.get("out"), "act": fields.get("act", "logistic")})]


SPECIAL: dict[str, Callable[[dict[str, Any]], list[Layer]]] = {
    "activation": _activation,
    "separable": _separable,
    "pooling": _pooling,
    "eltwise": _eltwise,
    "torch_pad": _torch_pad,
    "keras_pad": _keras_pad,
    "darknet_conv": _darknet_conv,
    "darknet_pool": _darknet_pool,
    "darknet_fc": _darknet_fc,
}
