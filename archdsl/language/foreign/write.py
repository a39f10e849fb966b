"""Writes the node that a layer of another tool stands for, with the fields that differ from the defaults of its op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_origin

from pydantic import ValidationError

from archdsl.language.foreign.calls import Hint, Unknown
from archdsl.language.hints import words_of
from archdsl.ops import OPS_BY_NAME


class Layer(NamedTuple):
    """An op with its fields, `norm` and `act`, and the names of its inputs."""

    op: str
    fields: dict[str, Any]
    inputs: tuple[str, ...] = ()
    axes: int = 0
    """The axes that its tool says; 0 if it is for any."""


class Answer(NamedTuple):
    """What to write instead of a node. `tool` is empty for a loose notation."""

    write: str
    tool: str = ""
    note: str = ""
    certain: bool = False
    """Whether it is the node as written, with other characters."""
    lossy: bool = False
    """Whether it lacks arguments of the node."""


def nodes_text(layers: Sequence[Layer], axes: int = 0) -> str:
    """Return the text of a node: one op in the short form, or a list of several. `axes`: those of the network, or 0."""
    texts = [node_text(layer, axes) for layer in layers]
    if len(texts) == 1:
        return texts[0]
    return "[" + ", ".join(f'"{text}"' if "," in text or "[" in text else text for text in texts) + "]"


def node_text(layer: Layer, axes: int = 0) -> str:
    """Return the short form of a layer. The values of `fields` are those of the op, or expressions as strings.

    Raises Hint if the op does not take a value.
    """
    op = OPS_BY_NAME[layer.op]
    if layer.op == "pad" and isinstance(layer.fields.get("pixels"), tuple) and not layer.axes:
        layer = layer._replace(fields={**layer.fields, "pixels": _last_axes(layer.fields["pixels"], axes)})
    fields = {name: _whole(_single(item)) for name, item in layer.fields.items()}
    kernel = fields.get("kernel")
    sizes = _sizes(layer, axes) if kernel is not None else ()
    window = all(type(size) is int for size in sizes)
    fields["pad"] = _written_pad(op.name, sizes if window else None, fields, layer.axes) if "pad" in fields else None
    if fields.get("stride") == kernel and "pool" in op.name:
        fields.pop("stride", None)
    if "norm" in fields and fields.get("bias") is False:
        del fields["bias"]
    _check(op.name, fields)
    front = window and (layer.axes or axes or isinstance(layer.fields.get("kernel"), tuple))
    words = ["x".join(map(str, sizes))] * bool(front and sizes) + [op.name]
    positional = list(op.positional)
    for name, field in op.model_fields.items():
        item = None if front and name == "kernel" else fields.get(name)
        if item is None or (not field.is_required() and item == _single(field.default)):
            positional = [] if name in positional else positional
            continue
        flag = next((word for word, setting in op.flags.items() if setting == (name, item)), "")
        if name == "stride" and isinstance(item, tuple) and all(type(size) is int for size in item):
            words.append("/" + "x".join(map(str, item)))
            continue
        slash = name == "stride" and type(item) in (int, str)
        prefix = "" if name in positional else "/" if slash else f"{name}="
        words.append(flag or prefix + _shown(item))
    words += [fields[role] for role in ("norm", "act") if role in fields]
    return " ".join(words) + (f" <- {', '.join(layer.inputs)}" if layer.inputs else "")


def _last_axes(pixels: tuple[Any, ...], axes: int) -> tuple[Any, ...]:
    """The sides of all axes for those of the last ones. Raises Unknown for more axes, or an unknown number of them."""
    own = len(pixels) // 2
    if not own <= axes:
        raise Unknown
    rest = (0,) * (axes - own)
    return (*rest, *pixels[:own], *rest, *pixels[own:])


def _sizes(layer: Layer, axes: int) -> tuple[Any, ...]:
    """The window on each axis: one size is for all axes of its tool, or of the network.

    Raises Unknown for sizes or strides that differ by axis and are for another number of axes.
    """
    kernel = layer.fields["kernel"]
    single, known = _single(kernel), layer.axes or axes
    for item in (kernel, layer.fields.get("stride"), layer.fields.get("dilation")):
        if known and isinstance(item, tuple) and len(set(item)) > 1 and len(item) != known:
            raise Unknown
    if isinstance(single, tuple) or (layer.axes and isinstance(kernel, tuple)):
        return tuple(kernel)
    return (single,) * known if known else kernel if isinstance(kernel, tuple) else (single,)


def _check(name: str, fields: dict[str, Any]) -> None:
    """Raises Hint if the op does not take one of the values; expressions have none yet."""
    op = OPS_BY_NAME[name]
    values = {field: item for field, item in fields.items() if field in op.model_fields and item is not None}
    known = {
        field: item
        for field, item in values.items()
        if not _is_expression(item)
        or item in words_of(op, field)
        or get_origin(op.model_fields[field].annotation) is Literal
    }
    if any(isinstance(item, dict) for item in known.values()):
        raise Unknown
    try:
        op.model_validate(known)
    except ValidationError as problem:
        for wrong in problem.errors():
            if not wrong["loc"] or wrong["loc"][0] not in known:
                continue
            field = str(wrong["loc"][0])
            meaning = op.model_fields[field].description
            raise Hint(f"`{name}` does not take `{field}={_shown(known[field])}` ({meaning})") from None


def _is_expression(item: Any) -> bool:
    return (
        any(map(_is_expression, item)) if isinstance(item, tuple) else isinstance(item, str) and item not in OPS_BY_NAME
    )


def _written_pad(op: str, sizes: tuple[int, ...] | None, fields: dict[str, Any], axes: int) -> Any:
    """The padding as `valid`, `same` or pixels; None if it is what the op does without it. `sizes`: of the window."""
    pad, stride, dilation = fields["pad"], fields.get("stride", 1), fields.get("dilation", 1)
    pad = {"valid": 0, "zeros": None}.get(pad.lower(), pad.lower()) if isinstance(pad, str) else pad
    implied: Any = 0
    if op == "deconv":
        crops = sizes is None or not (pad == 0 and _single(sizes) == stride and dilation == 1)
        return None if pad == "same" or not crops else pad
    if op in ("conv", "dwconv"):
        steps = dilation if isinstance(dilation, tuple) else (dilation,) * len(sizes or ())
        known = sizes is not None and all(type(step) is int for step in steps)
        halves = [size // 2 * (size % 2) for size in sizes or ()]
        implied = _single(tuple(step * half for step, half in zip(steps, halves, strict=True))) if known else None
        if pad == "same" and stride == 1 and sizes is not None and all(size % 2 for size in sizes):
            return None
        if pad == 0 and implied != 0:
            return "valid"
    if pad == implied:
        return None
    return (*pad, *pad) if isinstance(pad, tuple) and len(pad) == (axes or len(sizes or pad)) else pad


def _single(item: Any) -> Any:
    """Equal numbers as one number."""
    return item[0] if isinstance(item, tuple) and len(set(item)) == 1 and item[0] is not None else item


def _whole(item: Any) -> Any:
    """The factor 2.0 of another tool as 2."""
    return int(item) if isinstance(item, float) and item.is_integer() else item


def _shown(item: Any) -> str:
    if isinstance(item, tuple):
        return f"[{','.join(map(_shown, item))}]"
    return str(item).lower() if isinstance(item, bool) else str(item)
