"""Resolves `again conv1`: finds the node whose weights are reused, and checks that they fit the new input."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.axes import axes_of, kind_of
from archdsl.diagnostics import ArchError, Label, Span, error
from archdsl.elaborate.build import FirstRun, GraphBuilder
from archdsl.elaborate.place import VisibleNames
from archdsl.elaborate.references import resolve
from archdsl.graph import Node, Scope
from archdsl.language.syntax import Ref
from archdsl.shapes import Shape, at, concrete, format_shape


def earlier(builder: GraphBuilder, name: str, span: Span, frame: VisibleNames, scope: Scope) -> Node | FirstRun:
    """Return the node whose weights `again name` reuses, or the first run of a block or another scope.

    If that is an `again` itself, return what it runs.

    Raises E0410 or E0411 if there is no such earlier node, E0419 if it has no weights, and E0420 if
    it is in another module.
    """
    ref = Ref.of(name, span)
    named = builder.nodes[resolve(builder, ref, frame)]
    name = ".".join(ref.parts)
    if named.shape is None:
        raise ArchError(())  # its error is reported already
    path = _path(named, name, scope.named.path) or _sibling(builder, named, name, scope.named.path)
    if path is None:
        raise error(
            "E0420",
            f"`{name}` is left out here, and `{named.written_path}` takes its place",
            span,
            help="give this node the same `when`",
        )
    first = builder.tensors.get(path) or _first_run(builder, path)
    if first is None:
        raise error(
            "E0419",
            f"`{name}` has no weights to reuse",
            span,
            help="write the op again: without weights, the result is the same",
        )
    if isinstance(first, Node) and first.id in builder.faulty:
        raise ArchError(())
    if isinstance(first, Node) and first.path == path and _follows_again(builder, first):
        raise error(
            "E0420",
            f"`{name}` is an `again` with a norm of its own, and no module has both",
            span,
            labels=(Label(named.origin.span, f"`{name}`"),),
            help="write the norm as a node of its own, or put both into a block, and run that again",
        )
    home = scope.named.path
    if home and not path.startswith(f"{home}."):
        raise error(
            "E0420",
            f"`{name}` is outside `{home}`: a module can only reuse its own weights",
            span,
            labels=(Label(named.origin.span, f"defined outside `{home}`"),),
            help=f"move this node next to `{name}`, or put both into one block",
        )
    return first


def _follows_again(builder: GraphBuilder, node: Node) -> bool:
    """True if the node is the norm of an `again`, whose name it has: `b: again a bn`."""
    before = builder.nodes[node.id - 1]
    return bool(before.shared_with) and before.scope is node.scope and before.origin == node.origin


def _first_run(builder: GraphBuilder, path: str) -> FirstRun | None:
    """The first run of the scope at a path; None if there is none, or if it has no weights."""
    for copy, first in builder.again_scopes.items():
        if f"{path}.".startswith(f"{copy}."):
            path = first + path[len(copy) :]
    known = builder.first_runs.get(path)
    return known if known and any(other.startswith(f"{path}.") for other in builder.tensors) else None


def _path(node: Node, name: str, home: str) -> str | None:
    """The part of the node's path that is `name`, in `home` if possible; None if it only takes the place of `name`."""
    path, here = node.written_path, f"{home}.{name}" if home else name
    if f"{path}.".startswith(f"{here}."):
        return here
    while path:
        if path == name or path.endswith(f".{name}"):
            return path
        path = path.rpartition(".")[0]
    return None


def _sibling(builder: GraphBuilder, norm: Node, name: str, home: str) -> str | None:
    """The path of the convolution `name`, if the node is its norm, which is named as its sibling."""
    path = f"{home}.{name}" if home else name
    conv = builder.tensors.get(path)
    return path if conv is not None and conv.origin == norm.origin else None


def check_fit(node: Node, shapes: Sequence[Shape | None], span: Span) -> None:
    """Raises E0423 if the op of `node` needs weights of other shapes for these input shapes."""
    known_shapes = [shape for shape in shapes if shape is not None]
    if len(known_shapes) != len(shapes):
        raise ArchError(())
    same_rank = list(map(len, known_shapes)) == list(map(len, node.in_shapes))
    if same_rank:
        needed = [(p.name, p.shape) for p in node.op.params(known_shapes)]
        if needed == [(p.name, p.shape) for p in node.reads]:
            _check_padding(node, known_shapes, span)
            return
    before, here = node.in_shapes[0], known_shapes[0]
    raise error(
        "E0423",
        f"cannot reuse the weights of `{node.path}`: {_difference(before, here)}",
        span,
        labels=(Label(node.origin.span, f"its input is N x {format_shape(before)}"),),
        help=f"{_remedy(before, here)}write a new op with its own weights",
    )


def _remedy(before: Shape, here: Shape) -> str:
    """What gives the input as many channels as the weights need, if no more than that differs."""
    if axes_of(before) != axes_of(here):
        return ""
    op = f"a `{kind_of(here).window(1)} conv`" if axes_of(here) else "an `fc`"
    return f"change the number of {'channels' if axes_of(here) else 'features'} with {op} before this node, or "


def _check_padding(node: Node, shapes: Sequence[Shape], span: Span) -> None:
    """Raises E0423 if the op pads this input differently: a module has one padding for all its inputs.

    Only `pad=same` with a stride depends on the size, and such a size is fixed, so the default sizes decide.
    """
    before, here = ([concrete(shape) for shape in each] for each in (node.in_shapes, shapes))
    if node.op.padding(before) == node.op.padding(here):
        return
    raise error(
        "E0423",
        f"cannot run `{node.path}` again: `pad=same` pads this input of N x {format_shape(shapes[0])} differently",
        span,
        labels=(Label(node.origin.span, f"its input is N x {format_shape(node.in_shapes[0])}"),),
        help="write the padding in pixels, such as `pad=1`, or write a new op with its own weights",
    )


def _difference(before: Shape, here: Shape) -> str:
    """Why weights made for the input shape `before` do not fit the input shape `here`."""
    if axes_of(before) == axes_of(here) and at(before[0]) != at(here[0]):
        unit = "channels" if axes_of(here) else "features"
        return f"they were made for {at(before[0])} input {unit}, this input has {at(here[0])}"
    return f"they were made for the input N x {format_shape(before)}, this input is N x {format_shape(here)}"
