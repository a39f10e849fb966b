"""`axes: 3`: windows, strides and pads that a base has for another number of axes, for the axes of this network.

Carreira and Zisserman 2017 (I3D) inflate a network in this way: a window of equal sizes gets that size on each axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

from archdsl.axes import IMAGE, KINDS, VOLUME, axes_of, kind_of, listed
from archdsl.diagnostics import ArchError, Diagnostic, Label, Span, error
from archdsl.language.document import Axes, Document, InputDecl
from archdsl.language.syntax import FieldValue
from archdsl.ops.base import Op, OpError
from archdsl.source import Map

_FIXED = ("weight", "table")
"""Fields of a convolution that are made for one window."""


def spread(
    op: type[Op], data: Mapping[str, Any], fields: Mapping[str, FieldValue], span: Span, document: Document
) -> dict[str, Any]:
    """Return the values of an op's fields for the `axes` of a spec, if it has any: `(3, 3)` becomes 3, for all axes.

    Raises E0427 for numbers that differ between the axes, unless there is one for each axis, and for fixed weights.
    """
    values, axes = dict(data), document.axes
    if axes is None:
        return values
    problems: list[Diagnostic] = []
    for name, value in data.items():
        sides = 2 if name in op.per_side else 1
        if isinstance(value, tuple) and (name in op.per_axis or name in op.per_side):
            if len(value) == sides * axes.number or not value:
                continue
            if len(set(value)) > 1:
                problems += _uneven(op, name, value, _span(fields, name, span), document, axes).diagnostics
            values[name] = value[0]
        elif name in _FIXED and value is not None:
            problems += _fixed(op, name, _span(fields, name, span), document, axes).diagnostics
    if problems:
        raise ArchError(problems)
    return values


def _uneven(op: type[Op], name: str, value: tuple[Any, ...], span: Span, document: Document, axes: Axes) -> ArchError:
    sizes = KINDS[axes.number].sizes
    if name in op.per_axis:
        numbers, values = "x".join(map(str, value)), _choices(value, axes.number)
        otherwise = f"a number for each axis ({listed(sizes)}), or one number for all axes"
    else:
        numbers, values = str(list(value)), []
        otherwise = (
            f"one number for all sides, or {2 * axes.number}: {listed(sizes)} before, then {listed(sizes)} after"
        )
    from archdsl.elaborate.override import change

    what = "a window" if name == "kernel" else f"`{name}`"
    message = f"{what} of {numbers} cannot follow `axes: {axes.number}`: its numbers differ"
    return _misfit(message, span, axes, change(document, span, axes.span, name, values, otherwise))


def _choices(value: tuple[Any, ...], number: int) -> list[tuple[Any, ...]]:
    """The numbers for other axes: the first axes can have any of the numbers, or some axes are left out."""
    more = number - len(value)
    if more < 0:
        return [*dict.fromkeys(combinations(value, number))]
    return [(*first, *value) for first in product(dict.fromkeys(value), repeat=more)]


def _fixed(op: type[Op], name: str, span: Span, document: Document, axes: Axes) -> ArchError:
    from archdsl.elaborate.override import in_base

    message = f"the fixed `{name}` of `{op.name}` cannot follow `axes: {axes.number}`"
    null = " (`null` in an override)" if in_base(document, span, axes.span) else ""
    return _misfit(message, span, axes, f"leave out `{name}`{null}: the weights are then learned")


def _misfit(message: str, span: Span, axes: Axes, help_: str) -> ArchError:
    labels = (Label(axes.span, f"the windows of {KINDS[axes.number].noun}"),) if axes.span != span else ()
    return error("E0427", message, span, labels=labels, help=help_)


def check_inputs(inputs: Sequence[InputDecl], axes: Axes) -> None:
    """Raise E0427 if an input is neither a vector nor has `axes`."""
    kind = KINDS[axes.number]
    with_axes = [decl for decl in inputs if axes_of(decl.sizes)]
    wrong = [decl for decl in with_axes if axes_of(decl.sizes) != axes.number]
    if not wrong:
        return
    decl = wrong[0]
    example = f"{decl.name or 'input'}: {kind.example}"
    help_ = f"write {'this' if decl.name else 'the'} input of this network too, e.g. `{example}`"
    if len(wrong) < len(with_axes):
        help_ = "`axes` is for all inputs: leave it out, and write windows for any number of axes, as `kernel=3`"
    noun = kind_of(decl.sizes).noun
    message = f"`axes: {axes.number}` needs {kind.noun} ({kind.form}) as input, but this is {noun}"
    raise _misfit(message, decl.span, axes, help_)


def missing_axes(document: Document, node: Span, problem: OpError, as_input: str) -> ArchError | None:
    """Return E0426 at the input if the node with this problem is in the base of a spec that has inputs of other axes.

    `as_input` is the input that the window of the node is for, if it is likely. None if `axes` is no remedy.
    """
    from archdsl.elaborate.override import in_base

    inputs = [decl for decl in document.inputs if axes_of(decl.sizes)]
    kinds = {kind_of(decl.sizes) for decl in inputs}
    if document.axes is not None or len(kinds) != 1 or not in_base(document, node, inputs[0].span):
        return None
    kind = kinds.pop()
    return error(
        "E0426",
        f"the input is {kind.noun}, but the base has windows for another number of axes",
        inputs[0].span,
        labels=(Label(node, problem.message),),
        help=f"write `axes: {len(kind.letters)}` beside `input`{f', or {as_input}' if as_input else ''}",
    )


def useless_preprocessing(document: Document) -> list[Diagnostic]:
    """Return N0428 if the preprocessing of a spec was written for images, and `axes` makes it one without images.

    That of a network for volumes counts if the override with `axes` writes it itself.
    """
    from archdsl.elaborate.override import in_base

    axes, tree = document.axes, document.tree.get("preprocess")
    if axes is None or tree is None or document.preprocess is None or KINDS[axes.number] is IMAGE:
        return []
    if KINDS[axes.number] is VOLUME and isinstance(tree, Map) and not in_base(document, tree.span, axes.span):
        return []
    message = f"`preprocess` is for images: `axes: {axes.number}` leaves it out, whatever it says"
    help_ = f"write `preprocess: null`, and scale {KINDS[axes.number].noun} before it enters the network"
    if KINDS[axes.number] is VOLUME:
        example = "`preprocess: {intensity: [low, high]}`"
        help_ = f"write one for volumes beside `axes: {axes.number}`, e.g. {example}, or `preprocess: null`"
    return [Diagnostic("N0428", message, axes.span, help=help_, severity="note")]


def _span(fields: Mapping[str, FieldValue], name: str, span: Span) -> Span:
    return fields[name].span if name in fields else span
