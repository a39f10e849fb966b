"""The paper, the class labels and the preprocessing of a spec, as text, as diagnostics and for its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archdsl.axes import IMAGE, VOLUME, kind_of
from archdsl.diagnostics import Diagnostic, error
from archdsl.elaborate.spread import useless_preprocessing
from archdsl.language.document import Document
from archdsl.source import Map, Scalar, Seq

if TYPE_CHECKING:
    from archdsl.runtime.recipe import Recipe

_UNFIT_HELP = "set `preprocess: {mean: [...], std: [...]}` with one value per channel, or `preprocess: null`"


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


def preprocessing(document: Document, shapes: Sequence[tuple[int, ...]], free: bool) -> Recipe | None:
    """Return the preprocessing for inputs of these shapes; None unless just one is an image
    or a volume. `free`: keep its size.

    Raises E0806 if that of the spec does not match.
    """
    from archdsl.runtime.recipe import Unfit, settle

    images = [shape for shape in shapes if kind_of(shape) in (IMAGE, VOLUME)] if len(shapes) > 1 else shapes
    if len(images) != 1:
        return None
    kind, tree = kind_of(images[0]), document.tree.get("preprocess")
    left_out = bool(useless_preprocessing(document))
    if left_out and kind is not VOLUME:
        return None
    try:
        written = None if left_out else document.preprocess
        return settle(written, written is not None and isinstance(tree, Scalar), images[0], free)
    except Unfit as problem:
        channels = kind is IMAGE and images[0][0] not in (1, 3)
        if tree is None or (isinstance(tree, Scalar) and channels):  # no image: only `predict` needs the preprocessing
            return None
        raise error("E0806", f"`preprocess` does not match the input: {problem}", tree.span, help=_UNFIT_HELP) from None


def argument(value: object) -> Any:
    """Return the value of an argument; of one that was written as YAML, its text."""
    return value.span.text if isinstance(value, (Map, Scalar, Seq)) else value
