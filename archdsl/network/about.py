"""The paper and the class labels of a spec, as text and as diagnostics."""

from __future__ import annotations

from archdsl.diagnostics import Diagnostic
from archdsl.language.document import Document


def paper_line(document: Document) -> str:
    """Return authors, title, year and identifier of the paper in one line; empty without a paper."""
    paper = document.paper
    if paper is None:
        return ""
    authors = paper.authors if isinstance(paper.authors, str) else ", ".join(paper.authors or ())
    identifier = f"arXiv {paper.arxiv}" if paper.arxiv else f"doi {paper.doi}" if paper.doi else ""
    return ", ".join(str(part) for part in (authors, paper.title, paper.year, identifier) if part)


def label_note(document: Document, classes: int | None, own: bool = False) -> tuple[Diagnostic, ...]:
    """Return N0903 if the labels are ignored because their number is not `classes` (None: the output is no vector).

    If the spec itself sets both (`own`), this is a mistake, and the warning W0903 is returned.
    """
    labels = document.labels
    if labels is None or len(labels) == classes:
        return ()
    width = "the output is not a vector" if classes is None else f"the output has {classes:,} values"
    message = f"{len(labels):,} labels are ignored: {width}"
    help_ = "list the names of the classes under `labels`, or set `labels: null`" if own else ""
    code = "W0903" if own else "N0903"
    return (Diagnostic(code, message, document.labels_span, help=help_, severity="warning" if own else "note"),)
