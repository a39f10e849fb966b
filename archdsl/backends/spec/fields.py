"""The fields of an op in the long form of a spec, inferred ones included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.axes import uniform
from archdsl.language.format.yaml_writer import YamlLayout, YamlLeaf, listing
from archdsl.ops import Op
from archdsl.shapes import Shape


def fields_of(op: Op, inputs: Sequence[Shape], inferred: bool = True) -> dict[str, YamlLayout]:
    """Return every field that is written in the spec, and, with `inferred`, those that depend on the input shapes.

    Fields at their defaults (`dilation: 1`) are left out.
    """
    values = {**(op.resolved(inputs) if inferred else {}), **op.explicit()}
    for name in {one for field in op.references if field in values for one in op.excludes.get(field, ())}:
        values.pop(name, None)
    order = type(op).model_fields
    single = {*op.per_axis, *op.per_side} - {"kernel"}
    return {name: _layout(values[name], name in single) for name in order if name in values}


def _layout(value: Any, single: bool) -> YamlLayout:
    """`stride: 2` and `pad: 3` for all axes and sides, but `kernel: [7, 7]`."""
    if single and isinstance(value, tuple):
        value = uniform(value)
    return value_layout(value)


def value_layout(value: Any) -> YamlLayout:
    """Return the layout of a number, a string, a bool, None, or a tuple of them."""
    if isinstance(value, tuple):
        return listing([value_layout(v) for v in value], flow=True)
    if isinstance(value, str):
        return YamlLeaf(value)
    if value is None:
        return YamlLeaf("none")
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return YamlLeaf(text, verbatim=True)
