"""What `archdsl.load` gives: a network as an object, from which every artefact is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl import spec as specs
from archdsl.elaborate import elaborate
from archdsl.graph import Graph, Node
from archdsl.language.document import Document
from archdsl.language.expressions import show
from archdsl.shapes import concrete

if TYPE_CHECKING:
    from torch import nn

    from archdsl.files import Written
    from archdsl.passes.count import Totals


class Network:
    """A checked network. Immutable; everything is worked out when it is asked for.

    `args` are the overrides that it was loaded with, `document` the spec, `graph` the network itself.
    """

    def __init__(self, document: Document, graph: Graph, args: Mapping[str, Any]) -> None:
        self.document = document
        self.graph = graph
        self.args = dict(args)

    # --- what it is --------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in the order they run, auxiliary heads last."""
        return self.graph.nodes

    @property
    def input(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
        """The input's shape without the batch, `(3, 224, 224)`; of several inputs, by name."""
        shapes = {self.graph.nodes[i].path: concrete(self.graph.nodes[i].shape) for i in self.graph.inputs}
        return next(iter(shapes.values())) if len(shapes) == 1 else shapes

    @cached_property
    def totals(self) -> Totals:
        from archdsl.passes.count import count

        return count(self.graph)

    @property
    def params(self) -> int:
        """Trained numbers, auxiliary heads not counted."""
        return self.totals.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample at the default input size."""
        return self.totals.macs

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the graph itself: ops, fields, wiring and names; formatting and comments do not count."""
        digest = hashlib.sha256()
        for node in self.graph.nodes:
            row = [node.path, node.op.kind, node.op.explicit(), node.inputs, concrete(node.shape)]
            digest.update(json.dumps(row, default=str).encode())
        digest.update(json.dumps([dict(self.graph.outputs), {k: v.node for k, v in self.graph.aux.items()}]).encode())
        return digest.hexdigest()

    @cached_property
    def labels(self) -> tuple[str, ...] | None:
        """Names of the classes, where they fit the output's width."""
        labels = self.document.labels
        if labels is None:
            return None
        return labels if len(labels) == self.classes else None

    @property
    def classes(self) -> int | None:
        """The width of the (first) output where it is a vector."""
        shape = concrete(self.graph.nodes[next(iter(self.graph.outputs.values()))].shape)
        return shape[0] if len(shape) == 1 or set(shape[1:]) == {1} else None

    # --- what is made of it ------------------------------------------------------------------------------

    def to_torch(self, weights: Any = None, seed: int | None = None) -> nn.Module:
        """A PyTorch module whose state_dict keys are the node paths.

        `weights`: a path (.safetensors, .pth) or a mapping of arrays; None: initialised from `seed` (default 0).
        Raises ArchError: E06xx where the weights do not fit, E0801 where torch is not installed.
        """
        from archdsl.backends.torch import to_torch

        return to_torch(self.graph, self._weights(weights, seed) if weights is not None else None, seed)

    def to_source(self) -> str:
        """A Python file that imports only torch and defines this network."""
        from archdsl.backends.torch import to_source

        return to_source(self.graph, paper=self._paper_line(), fingerprint=self.fingerprint)

    def to_onnx(self, path: str | Path, weights: Any = None, seed: int | None = None, *,
                external_data: bool | None = None, force: bool = False) -> Written:  # fmt: skip
        """Writes an ONNX file; without `weights` they are random, and the file's metadata says so."""
        from archdsl.backends.onnx import write

        values = self._weights(weights, seed)
        origin = f"random, seed {seed or 0}" if weights is None else str(weights) if isinstance(weights, (str, Path)) else "given"
        meta = {**self.metadata(), "weights": origin}
        return write(self.graph, values, Path(path), meta=meta, external_data=external_data, force=force)

    def _weights(self, weights: Any, seed: int | None) -> Mapping[str, Any]:
        from archdsl.backends import weights as stored

        if weights is None:
            return stored.initial(self.graph, seed or 0)
        given = stored.load(Path(weights)) if isinstance(weights, (str, Path)) else weights
        fitted = stored.fit(given, self.graph)
        return fitted.weights if hasattr(fitted, "weights") else fitted

    def metadata(self) -> dict[str, str]:
        """What travels with a compiled network: name, fingerprint, preprocessing, labels, paper."""
        meta = {"name": self.name, "spec_hash": self.fingerprint, "params": str(self.params), "macs": str(self.macs)}
        if self.args:
            meta["args"] = json.dumps({k: _jsonable(v) for k, v in self.args.items()})
        if self.document.preprocess is not None:
            meta["preprocess"] = self.document.preprocess.model_dump_json(exclude_none=True)
        if self.labels:
            meta["labels"] = json.dumps(self.labels)
        if self.document.paper is not None:
            meta["paper"] = self.document.paper.model_dump_json(exclude_none=True)
        return meta

    def _paper_line(self) -> str:
        paper = self.document.paper
        if paper is None:
            return ""
        authors = paper.authors if isinstance(paper.authors, str) else ", ".join(paper.authors or ())
        where = f"arXiv {paper.arxiv}" if paper.arxiv else f"doi {paper.doi}" if paper.doi else ""
        return ", ".join(str(p) for p in (authors, paper.title, paper.year, where) if p)

    def diagram(self, **options: Any) -> str:
        """The drawing as SVG text; options as of `archdsl diagram`."""
        from archdsl.views.diagram import diagram_svg

        return diagram_svg(self.graph, **options)

    def summary(self, **options: Any) -> str:
        """The table of `archdsl params` as text."""
        from archdsl.views.table import render

        return render(self.graph, **options)

    # --- how it shows itself -----------------------------------------------------------------------------

    def __repr__(self) -> str:
        args = "".join(f", {k}={show(v) if not hasattr(v, 'span') else v.span.text}" for k, v in self.args.items())
        return f"<Network {self.name}{args}: {self.graph.input_spec}, {self.params:,} params, {self.macs:,} MACs>"

    def _repr_mimebundle_(self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None) -> dict[str, str]:
        bundle = {"text/plain": repr(self)}
        try:
            bundle["image/svg+xml"] = self.diagram()
        except Exception:  # a notebook must show the text even where nothing can draw
            return bundle
        return bundle


def _jsonable(value: Any) -> Any:
    return value.span.text if hasattr(value, "span") else value


def load(spec: str | Path, *, input: str | None = None, **args: Any) -> Network:
    """The network of a SPEC: a path, `path#variant`, or a name of the library (`resnet101`).

    `input` overrides the input's size (`"3x320x320"`), `args` the spec's own arguments (`classes=3`). Raises ArchError
    with all that is wrong.
    """
    return _network(specs.read_spec(spec, input), args)


def loads(text: str, *, variant: str | None = None, name: str = "<string>", **args: Any) -> Network:
    """The network of a spec given as text."""
    from archdsl.source import decode

    return _network(specs.document_of(specs.from_source(decode(text.encode(), name), variant)), args)


def _network(document: Document, args: Mapping[str, Any]) -> Network:
    return Network(document, elaborate(document, args), args)
