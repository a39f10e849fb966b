"""The fields of a written op as holes of a template: their values, defaults and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from archdsl.axes import axes_of, uniform
from archdsl.backends.spec.fields import value_layout
from archdsl.graph import Node
from archdsl.language.format.yaml_writer import YamlLayout, YamlLeaf, listing
from archdsl.ops import OPS_BY_NAME, Conv, DwConv, Pool
from archdsl.shapes import at, concrete

Defaults: TypeAlias = Mapping[tuple[str, str], Any]
"""The values under `defaults`, by op and field; the norm and the activation are the fields `norm` and `act`."""
SIZES = frozenset(("out", "groups", "start", "end", "repeat"))
"""Fields that grow with a network: one is often a multiple of another."""


class Missing:
    """A value that does not exist: a required field has no default, a run of one copy has no others."""


MISSING = Missing()


class Hole(NamedTuple):
    """A value in a template; `channels` are those of the input of its node."""

    field: str
    value: Any
    default: Any
    channels: int


def written(node: Node) -> str:
    """Return the op as a person writes it: a convolution with a filter per channel is a `dwconv`."""
    op = node.op
    if isinstance(op, Conv) and op.groups > 1 and op.table is None:
        channels = at(node.in_shapes[0][0])
        if op.groups == channels and op.out % channels == 0:
            return DwConv.name
    return op.name


def holes(node: Node, name: str, defaults: Defaults, norm: bool) -> Iterator[Hole]:
    """Yield the fields of an op, which is written as `name`; `norm`: a norm follows."""
    channels = at(node.in_shapes[0][0])
    values = _values(node, name)
    family = "conv" if name in ("dwconv", "deconv") else name
    alike = (*OPS_BY_NAME[name].per_axis, *OPS_BY_NAME[name].per_side)
    for field, info in OPS_BY_NAME[name].model_fields.items():
        if field in OPS_BY_NAME[name].references:
            continue
        usual = MISSING if info.is_required() else _plain(info.default) if field in alike else info.default
        default = usual
        if field == "bias" and name in ("conv", "dwconv", "deconv", "fc"):
            default = not norm
        default = defaults.get((name, field), defaults.get((family, field), default))
        yield Hole(field, values.get(field, usual), default, channels)


def _values(node: Node, name: str) -> dict[str, Any]:
    op = node.op
    alike = (*op.per_axis, *op.per_side)
    values = {field: _plain(value) if field in alike else value for field, value in op.explicit().items()}
    if isinstance(op, Conv) and op.pad != "same" and op.pad is not None:
        shape = concrete(node.in_shapes[0])
        pads, usual = op.pads(shape), op.model_copy(update={"pad": None}).pads(shape)
        values["pad"] = None if pads == usual else uniform(tuple(pads))
    if isinstance(op, Pool) and op.stride is not None and values["stride"] == values["kernel"]:
        del values["stride"]
    if name == DwConv.name and isinstance(op, Conv):
        values["multiplier"] = op.out // op.groups
    return values


def _plain(value: Any) -> Any:
    """One number instead of the same for all axes or sides."""
    return uniform(value) if isinstance(value, tuple) and value and all(type(v) is int for v in value) else value


def literal(value: Any) -> str:
    """Return a value as the text of an expression."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else value if isinstance(value, str) else repr(value)


def layout(field: str, value: Any, node: Node) -> YamlLayout:
    """Return a literal value of a field: `kernel: [3, 3]` for one number on all axes of an input."""
    axes = axes_of(node.in_shapes[0])
    if field == "kernel" and isinstance(value, int) and axes:
        return listing([value_layout(value)] * axes, flow=True)
    if field == "pad" and isinstance(node.op, Conv) and value == 0:
        return YamlLeaf("valid")
    return value_layout(value)


def expression(text: str) -> YamlLayout:
    """Return the text of an expression as the value of a field."""
    return YamlLeaf(text)
