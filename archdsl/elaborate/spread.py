"""`axes: 3`: windows, strides and pads that a base has for another number of axes, for the axes of this network.

Carreira and Zisserman 2017 (I3D) inflate a network in this way: a window of equal sizes gets that size on each axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archdsl.axes import IMAGE, KINDS
from archdsl.diagnostics import ArchError, Diagnostic, Label, Span, error
from archdsl.language.document import Axes, Document, InputDecl
from archdsl.language.syntax import FieldValue
from archdsl.ops.base import Op

_FIXED = ("weight", "table")
"""Fields of a convolution that are made for one window."""


def spread(
    op: type[Op], data: Mapping[str, Any], fields: Mapping[str, FieldValue], span: Span, axes: Axes
) -> dict[str, Any]:
    """Return the values of an op's fields for `axes`: `(3, 3)` becomes 3, which is any number of axes.

    Raises E0427 for numbers that differ between the axes, unless there is one for each of `axes`, and for fixed
    weights.
    """
    values = dict(data)
    for name, value in data.items():
        sides = 2 if name in op.per_side else 1
        if isinstance(value, tuple) and (name in op.per_axis or name in op.per_side):
            if len(value) == sides * axes.number or not value:
                continue
            if len(set(value)) > 1:
                raise _uneven(op, name, value, _span(fields, name, span), axes)
            values[name] = value[0]
        elif name in _FIXED and value is not None:
            message = f"the fixed `{name}` of `{op.name}` cannot follow `axes: {axes.number}`"
            raise _misfit(
                message, _span(fields, name, span), axes, "replace this node in the override, with a learned window"
            )
    return values


def _uneven(op: type[Op], name: str, value: tuple[Any, ...], span: Span, axes: Axes) -> ArchError:
    listed = "x".join(map(str, value)) if name in op.per_axis else str(list(value))
    what = "a window" if name == "kernel" else f"`{name}`"
    if name in op.per_axis:
        own = [1] * (axes.number - len(value)) + list(value)[-axes.number :]
        help_ = f"override this node, with a number for each axis, e.g. `{name}: {own}`"
    else:
        help_ = f"override this node, with one number for all sides or {2 * axes.number} numbers"
    return _misfit(f"{what} of {listed} cannot follow `axes: {axes.number}`: its numbers differ", span, axes, help_)


def _misfit(message: str, span: Span, axes: Axes, help_: str) -> ArchError:
    labels = (Label(axes.span, f"the windows of {KINDS[axes.number].noun}"),) if axes.span != span else ()
    return error("E0427", message, span, labels=labels, help=help_)


def check_input(decl: InputDecl, axes: Axes) -> None:
    """Raise E0427 if an input is neither a vector nor has `axes`."""
    own = len(decl.sizes) - 1
    if own in (0, axes.number):
        return
    kind = KINDS[axes.number]
    raise _misfit(
        f"`axes: {axes.number}` needs {kind.noun} ({kind.form}) as input, but this is {KINDS[own].noun}",
        decl.span,
        axes,
        f"write the input of this network too, e.g. `input: {kind.example}`",
    )


def useless_preprocessing(document: Document) -> list[Diagnostic]:
    """Return N0428 if the spec has preprocessing, which is for images, and `axes` makes it one without images."""
    axes = document.axes
    if axes is None or document.preprocess is None or KINDS[axes.number] is IMAGE:
        return []
    message = f"`preprocess` is for images, and is left out with `axes: {axes.number}`"
    return [Diagnostic("N0428", message, axes.span, help="write `preprocess: null`", severity="note")]


def _span(fields: Mapping[str, FieldValue], name: str, span: Span) -> Span:
    return fields[name].span if name in fields else span
