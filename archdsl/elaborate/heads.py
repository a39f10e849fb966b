"""Auxiliary heads that do not fit the input: only training runs them, so the network is made without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from archdsl.diagnostics import ArchError, Diagnostic, Span
from archdsl.graph import Graph
from archdsl.language.document import AuxDecl, Document

OF_SIZES = frozenset({"E0402", "E0409", "E0416", "E0417"})
"""Errors of ops whose input is too small."""
FACTORS = (2, 4, 8, 16, 32)
"""How many times larger images are tried, to see whether a head is wrong or only does not fit."""

Known: TypeAlias = Callable[[Document, int], tuple[Graph, ArchError | None]]
"""The graph of a document for images so many times larger, and its errors."""


def without_unfit_heads(document: Document, problem: ArchError, known: Known) -> tuple[Graph, ArchError | None] | None:
    """Return what is known without the heads that need larger images, with a note (N0424) for each.

    None if there are none. `problem`: the errors of the document.
    """
    if not document.aux or not {code for code, _ in _errors(problem)} & OF_SIZES:
        return None
    bare = replace(document, aux=())
    own = _errors(known(bare, 1)[1])
    kept: list[AuxDecl] = []
    unfit: list[str] = []
    notes: list[Diagnostic] = []
    params = 0
    for head in document.aux:
        alone = replace(document, aux=(head,))
        wrong = _errors(known(alone, 1)[1]) - own
        larger = _larger(alone, bare, known) if wrong and {code for code, _ in wrong} <= OF_SIZES else None
        if larger is None:
            kept.append(head)
            continue
        unfit.append(head.name)
        notes.append(_note(head, larger))
        params += sum(
            p.numel for node in larger.nodes if node.training and node.known for p in node.params if p.trained
        )
    if not unfit:
        return None
    graph, rest = known(replace(document, aux=tuple(kept)), 1)
    graph = replace(graph, notes=(*graph.notes, *notes), unfit_heads=tuple(unfit), unfit_params=params)
    return graph, None if rest is None else ArchError((*rest.diagnostics, *notes), rest.status)


def _larger(alone: Document, bare: Document, known: Known) -> Graph | None:
    """The graph for larger images, at which the head adds no errors; None if it always does."""
    for factor in FACTORS:
        graph, wrong = known(alone, factor)
        if wrong is None or not _errors(wrong) - _errors(known(bare, factor)[1]):
            return graph
    return None


def _errors(problem: ArchError | None) -> set[tuple[str, Span | None]]:
    """The errors by code and place."""
    diagnostics = () if problem is None else problem.diagnostics
    return {(d.code, d.span) for d in diagnostics if d.severity == "error"}


def _note(head: AuxDecl, larger: Graph) -> Diagnostic:
    fits = ", ".join(map(str, larger.training_sizes))
    if any(size.pinned for size in larger.training_sizes):
        fits = f"an input such as {larger.input_spec}"
    return Diagnostic(
        "N0424",
        f"the auxiliary head `{head.name}` does not fit this input and is left out; to train it needs {fits}",
        head.span,
        severity="note",
        help="inference does not run it; to train with it, load the network with a larger `--input`",
    )
