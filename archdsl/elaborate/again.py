"""`again conv1`: which node's tensors are meant, and whether they fit."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagnostics import ArchError, Label, Span, error
from archdsl.elaborate.build import GraphBuilder
from archdsl.elaborate.place import VisibleNames
from archdsl.elaborate.references import resolve
from archdsl.graph import Node, Scope
from archdsl.language.syntax import Ref
from archdsl.shapes import Shape, format_shape


def earlier(builder: GraphBuilder, name: str, span: Span, frame: VisibleNames, scope: Scope) -> Node:
    """The node that `again name` runs again, or the one that it runs again in turn.

    Raises E0410 and E0411 (no such node, or a later one), E0419 (no tensors, or several ops with tensors), E0420 (a
    node of another module).
    """
    found = builder.nodes[resolve(builder, Ref.of(name, span), frame)]
    if found.shape is None:
        raise ArchError(())  # it failed, and was told
    path = _path(found, name)
    if path is None:
        raise error(
            "E0420",
            f"`{name}` is left out here: what stands for it is `{found.written_path}`",
            span,
            help="give this node the same `when`",
        )
    node = builder.tensors.get(path)
    if node is None:
        raise _no_single_op(builder, name, path, span)
    if node.id in builder.faulty:
        raise ArchError(())
    home = scope.named.path
    if home and not node.path.startswith(f"{home}."):
        raise error(
            "E0420",
            f"`{name}` is not inside `{home}`: a module runs only what it holds",
            span,
            labels=(Label(node.origin.span, "stands outside"),),
            help=f"put this node beside `{name}`, in the same mapping, or both into one block",
        )
    return node


def _path(found: Node, name: str) -> str | None:
    """The path of what is called `name` and gives the value of `found`; None where something else stands for it."""
    path = found.written_path
    while path:
        if path == name or path.endswith(f".{name}"):
            return path
        path = path.rpartition(".")[0]
    return None


def _no_single_op(builder: GraphBuilder, name: str, path: str, span: Span) -> ArchError:
    inside = [f"`{name}{other[len(path) :]}`" for other in builder.tensors if other.startswith(f"{path}.")]
    if not inside:
        return error(
            "E0419",
            f"`{name}` has no tensors that could be used again",
            span,
            help="write the op once more: without tensors it is the same",
        )
    return error(
        "E0419",
        f"`{name}` holds {len(inside)} ops with tensors, and `again` runs one",
        span,
        help=f"name it: {' or '.join(inside[:4])}",
    )


def check_fit(node: Node, shapes: Sequence[Shape | None], span: Span) -> None:
    """Raises E0423 where the tensors of `node` are not those that its op would need for these inputs."""
    given = [shape for shape in shapes if shape is not None]
    if len(given) != len(shapes):
        raise ArchError(())
    same_rank = list(map(len, given)) == list(map(len, node.in_shapes))
    if same_rank and [(p.name, p.shape) for p in node.op.params(given)] == [(p.name, p.shape) for p in node.reads]:
        return
    raise error(
        "E0423",
        f"the tensors of `{node.path}` do not fit N x {format_shape(given[0])}, which arrives here",
        span,
        labels=(Label(node.origin.span, f"made for N x {format_shape(node.in_shapes[0])}"),),
        help="give it as many channels, by a `1x1 conv` before it, or write a node with tensors of its own",
    )
