"""The style `article`: figures that explain neurons, a convolution, and inception, residual and dense blocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

from archdsl.analysis.parts import Part, node_part, scope_part
from archdsl.diagnostics import ArchError, error
from archdsl.drawing.article.blocks import INCEPTION, MOST_BOXES, RESIDUAL, block_figure
from archdsl.drawing.article.convolution import convolution
from archdsl.drawing.article.dense import dense_figure
from archdsl.drawing.article.figure import WORDS, Figure, framed
from archdsl.drawing.article.perceptron import chain, perceptron
from archdsl.drawing.model.drawing import View
from archdsl.drawing.model.focus import check_paths
from archdsl.drawing.model.words import describe
from archdsl.drawing.request import Request
from archdsl.drawing.scene import Scene, shorten
from archdsl.drawing.scene.write import Painter
from archdsl.drawing.theme import Theme
from archdsl.graph import Graph, Node, Scope
from archdsl.ops import Add, Concat, Conv, Fc, Flatten, Input
from archdsl.report.words import block_name

DRAWS = (
    "fully connected layers as neurons, a convolution, an inception, residual or dense block, and any other block"
    f" of at most {MOST_BOXES} boxes"
)
Subject: TypeAlias = Scope | Node


def attempts(request: Request) -> Iterator[Painter]:
    """Yield the figure, `painter`, and a narrow one: the first is the narrow one beside other pictures."""
    for narrow in (request.beside, not request.beside):
        yield painter(request, narrow)


def painter(request: Request, narrow: bool = False) -> Painter:
    """Return a function from the theme to the figure of the focus, or of the first part that has a figure.

    Without a focus, a network of fully connected layers is drawn as neurons; otherwise the figure shows the first
    dense, residual or inception block, or the first convolution. Only the options `theme`, `title` and `width_mm` have
    an effect. Raises, with status 2, E0713 for a path that the network does not have, and E0717 if there is no figure.
    """
    graph, focus = request.graph, request.view.focus
    check_paths(graph, View(focus=focus))
    subject = _focused(graph, focus) if focus else _first(graph)
    if subject is None:
        raise _no_figure(graph, focus)
    chosen, described = subject, describe(graph, _part(graph, subject))

    def painted(theme: Theme) -> Scene:
        figure = _figure(graph, chosen, theme, narrow)
        scene = framed(graph.name, _line(graph, chosen, figure), figure, theme, request.options.title)
        if scene.width <= (request.options.width_points or 0):
            scene.body = WORDS  # a figure that is narrower than the paper is not enlarged
        return described(scene)

    return painted


def _part(graph: Graph, subject: Subject) -> Part:
    """What the figure of a subject shows."""
    if isinstance(subject, Scope):
        return scope_part(graph, subject)
    layers = chain(graph, subject) if isinstance(subject.op, Fc) else [subject]
    return node_part(subject)._replace(path="", copies=(range(layers[0].id, layers[-1].id + 1),))


def _figure(graph: Graph, subject: Subject, theme: Theme, narrow: bool) -> Figure:
    if isinstance(subject, Scope):
        return _of_scope(graph, subject, theme, narrow)
    if isinstance(subject.op, Fc):
        return perceptron(graph, subject, theme, narrow)
    return convolution(graph, subject, theme, narrow)


def _of_scope(graph: Graph, scope: Scope, theme: Theme, narrow: bool) -> Figure:
    if not _has_figure(graph, scope):
        return block_figure(graph, scope, "a part" if scope.block is None else "a block", theme)
    if scope.kind == "dense":
        return dense_figure(graph, scope, theme, narrow)
    if scope.kind == "residual":
        return block_figure(graph, scope, RESIDUAL, theme)
    around = _call(scope)
    return block_figure(graph, around, INCEPTION if _covers(graph, scope, around) else "a block", theme, narrow)


def _first(graph: Graph) -> Subject | None:
    """The default subject: neurons if there is nothing else, a block, or a convolution.

    If inception blocks are in residual blocks, it is the first such residual block.
    """
    kinds = {type(node.op) for node in graph.nodes if not node.op.role and node.op.inference} - {Input, Flatten}
    neurons = next(filter(_is_neurons, graph.nodes), None)
    if kinds == {Fc} and neurons is not None:
        return neurons
    blocks = [scope for scope in graph.root.walk() if _has_figure(graph, scope)]
    wide = [scope for scope in blocks if scope.kind == "branches" and len(_branches(scope)) > 2]
    both = (scope for scope in blocks if scope.kind == "residual" and any(inner in wide for inner in scope.walk()))
    typical = (scope for scope in blocks if scope.kind != "branches" or scope in wide)
    layers = (node for node in graph.nodes if type(node.op) is Conv)
    return next(both, None) or next(typical, None) or next(iter(blocks), None) or next(layers, None) or neurons


def _is_neurons(node: Node) -> bool:
    """Whether a node is a fully connected layer of a vector, not of every pixel of an image."""
    return isinstance(node.op, Fc) and node.op.kernel is None


def _branches(scope: Scope) -> list[Scope]:
    return [m for m in scope.members if isinstance(m, Scope) and m.role == "branch"]


def _focused(graph: Graph, path: str) -> Subject | None:
    """The block or layer with a path: all of it or nothing, never a part of it that happens to have a figure."""
    scopes = [scope for scope in graph.root.walk() if scope.path == path]
    nodes = [graph.nodes[n] for n in range(scopes[0].first, scopes[0].end)] if scopes else [graph.by_path[path]]
    layers = [node for node in nodes if not node.op.role and node.op.inference]
    neurons = [node for node in layers if _is_neurons(node)]
    if neurons and all(type(node.op) in (Fc, Flatten) for node in layers):
        return neurons[0]
    if len(layers) == 1 and type(layers[0].op) is Conv:
        return layers[0]
    whole = [scope for scope in scopes if _covers(graph, scope, scopes[0])]
    return next(filter(partial(_has_figure, graph), whole), next(iter(whole), None))


def _covers(graph: Graph, scope: Scope, around: Scope) -> bool:
    """Whether a scope has all layers of the scope around it, but for activations and what is left out at inference."""
    rest = (*graph.nodes[around.first : scope.first], *graph.nodes[scope.end : around.end])
    return all(node.op.role or not node.op.inference for node in rest)


def _has_figure(graph: Graph, scope: Scope) -> bool:
    """Whether a scope is a dense block, a residual block that adds, or branches that are concatenated."""
    merge = {"residual": Add, "branches": Concat, "dense": Concat}.get(scope.kind)
    own = [graph.nodes[m] for m in scope.members if isinstance(m, int)]
    return merge is not None and any(type(node.op) is merge for node in own)


def _call(scope: Scope) -> Scope:
    """The block call around branches, or the branches themselves if they are written in the net."""
    around: Scope | None = scope
    while around is not None and around.block is None:
        around = around.parent
    return around or scope


def _no_figure(graph: Graph, focus: str) -> ArchError:
    where = f"`{focus}` of `{graph.name}`" if focus else f"`{graph.name}`"
    return error("E0717", f"{where} has no figure in the style `article`", status=2, help=f"the style draws {DRAWS}")


def _line(graph: Graph, subject: Subject, figure: Figure) -> str:
    """What the figure shows: its kind, and the path and the call of the part."""
    called = figure.about or subject.path
    if isinstance(subject, Scope) and not figure.about and (subject.block is not None or subject.label):
        called = f"{subject.path} = {subject.label or block_name(graph, subject)}"
    return shorten(f"{figure.kind}: {called}" if called else figure.kind, 90)
