"""Auxiliary heads that do not fit the input: only training runs them, so the network is made without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.graph import Graph
from archdsl.language.document import AuxDecl, Document

OF_SIZES = frozenset({"E0402", "E0409", "E0416", "E0417"})
"""Errors of ops whose input is too small."""
FACTORS = (2, 4, 8, 16, 32)
"""How many times larger images are tried, to see whether a head is wrong or only does not fit."""

Known: TypeAlias = Callable[[Document, int], tuple[Graph, ArchError | None]]
"""The graph of a document for images so many times larger, and its errors."""


def without_unfit_heads(document: Document, problem: ArchError, known: Known) -> Graph | None:
    """Return the graph without the heads that need larger images, with a note (N0424) for each.

    None if `problem`, the errors of the document, has others.
    """
    if not document.aux or {d.code for d in problem.diagnostics if d.severity == "error"} - OF_SIZES:
        return None
    if known(replace(document, aux=()), 1)[1] is not None:
        return None
    kept: list[AuxDecl] = []
    unfit: list[str] = []
    notes: list[Diagnostic] = []
    for head in document.aux:
        alone = replace(document, aux=(head,))
        if known(alone, 1)[1] is None:
            kept.append(head)
            continue
        larger = next((graph for graph, wrong in (known(alone, n) for n in FACTORS) if wrong is None), None)
        if larger is None:
            return None
        unfit.append(head.name)
        notes.append(_note(head, larger))
    graph, wrong = known(replace(document, aux=tuple(kept)), 1)
    return replace(graph, notes=(*graph.notes, *notes), unfit_heads=tuple(unfit)) if wrong is None else None


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
