"""Runs a whole block, or another node with a scope of its own, again: `again encoder`.

The node is expanded once more, at another place and with other inputs. Its ops take the tensors of the first run, which
must have the same ops, wired in the same way: then a module is called twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archdsl.diagnostics import ArchError, Label, Origin, Span, error
from archdsl.elaborate.build import FirstRun, GraphBuilder
from archdsl.elaborate.limits import MAX_NODES
from archdsl.elaborate.make import Parts
from archdsl.elaborate.place import Output, ScopePlace
from archdsl.elaborate.walk import Walker
from archdsl.graph import Node, Scope
from archdsl.language.syntax import CallSyntax
from archdsl.ops import Conv, Pool
from archdsl.ops.base import Op
from archdsl.shapes import concrete


def run_again(
    walker: Walker, first: FirstRun, parts: Parts, place: ScopePlace, inputs: Sequence[int], origin: Origin
) -> Output:
    """Expand the node of `first` at another place. Raises E0314, E0414, E0420, E0423 and E0504."""
    builder, path = walker.builder, place.path()
    if place.anonymous:
        raise error(
            "E0504",
            f"`again {first.scope.path}` needs a name, so that other nodes can read what is in it",
            origin.span,
            help="write it under a key: `right: again encoder`",
        )
    if parts.norm or parts.act:
        raise error(
            "E0420",
            "a block that runs again cannot be followed by a norm or an activation",
            origin.span,
            help="write it as a node of its own after this one",
        )
    if len(builder.nodes) + first.scope.end - first.scope.first > MAX_NODES:
        raise error("E0314", f"this expands to more than {MAX_NODES:,} nodes, the limit", origin.span)
    syntax = replace(first.syntax, sources=None, when=None)
    builder.running_again.append((path, first.scope.path))
    members = len(place.scope.members)
    try:
        if len(inputs) > 1:
            if not isinstance(syntax, CallSyntax):
                raise error("E0414", f"`{first.scope.path}` takes one input, not {len(inputs)}", origin.span)
            output: Output = walker.rules[CallSyntax](walker, syntax, place, inputs, first.ctx)
        else:
            output = first.expand(syntax, place, inputs[0], first.ctx)
    finally:
        builder.running_again.pop()
    scope = place.scope.members[members]
    assert isinstance(scope, Scope)
    scope.again, scope.origin = first.scope.path, origin
    builder.again_scopes[path] = first.scope.path
    _check_equal(builder, first.scope, scope, origin.span)
    return output


def twin(builder: GraphBuilder, path: str, op: Op, span: Span) -> Node:
    """Return the node of the first run whose tensors the node at `path` uses. Raises E0423 if there is none."""
    copy, first = builder.running_again[-1]
    node = builder.tensors.get(first + path[len(copy) :])
    if node is None:
        raise error(
            "E0423",
            f"`{first}` cannot run again here: `{path[len(copy) + 1 :]}` is needed for this input only",
            span,
            help="give this run an input of the same shape, or write a new block with its own weights",
        )
    return node


def _check_equal(builder: GraphBuilder, first: Scope, copy: Scope, span: Span) -> None:
    """Raises E0423 unless both runs have the same ops, wired in the same way: one module computes them."""
    before, after = builder.nodes[first.first : first.end], builder.nodes[copy.first : copy.end]
    if any(node.shape is None for node in (*before, *after)):
        raise ArchError(())
    outside: dict[int, int] = {}
    shift = copy.first - first.first
    for one, two in zip(before, after, strict=False):
        pairs = zip(one.inputs, two.inputs, strict=False)
        moved = [i + shift if i >= first.first else outside.setdefault(i, j) for i, j in pairs]
        if _kept(one) != _kept(two):
            raise _differs(first, copy, one, span)
        if one.path[len(first.path) :] != two.path[len(copy.path) :] or one.op != two.op or moved != [*two.inputs]:
            raise _differs(first, copy, one, span)
    if len(before) != len(after):
        raise _differs(first, copy, max(before, after, key=len)[min(len(before), len(after))], span)


def _kept(node: Node) -> object:
    """What a module keeps of its first input: the channels, the number of axes, and pads, on which `same` depends."""
    inputs = [(shape[0], len(shape)) for shape in node.in_shapes]
    adaptive = getattr(node.op, "adaptive", False)
    if adaptive or not isinstance(node.op, (Conv, Pool)):
        return inputs
    return inputs, node.op.pads(concrete(node.in_shapes[0]))


def _differs(first: Scope, copy: Scope, node: Node, span: Span) -> ArchError:
    name = node.path.removeprefix(f"{first.path}.").removeprefix(f"{copy.path}.")
    return error(
        "E0423",
        f"`{first.path}` cannot run again here: `{name}` differs for this input",
        span,
        labels=(Label(node.origin.span, "differs"),),
        help="a module has the same ops each time it runs: write a new block with its own weights",
    )
