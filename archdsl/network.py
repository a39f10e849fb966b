"""What `archdsl.load` gives: a network as an object, from which every artefact is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from archdsl.diagnostics import ArchError
from archdsl.diagnostics.arguments import conflict
from archdsl.elaborate import elaborate
from archdsl.graph import Graph, Node
from archdsl.language.document import Document
from archdsl.language.expressions import show
from archdsl.shapes import concrete
from archdsl.source import Map, Scalar, Seq
from archdsl.spec.open import document_of, from_source, open_spec, parse_overrides, resized

if TYPE_CHECKING:
    from torch import nn

    from archdsl.analysis.count import Totals
    from archdsl.backends.onnx.types import Precision
    from archdsl.backends.onnx.write import Progress, WrittenModel
    from archdsl.backends.weights import Weights
    from archdsl.runtime.recipe import Recipe

_UNFIT = "`preprocess: {mean: [...], std: [...]}` in your spec, a number for each channel; `preprocess: null` says nothing of images"

Reading: TypeAlias = Literal["logits", "probabilities", "scores", "distances", "image", "map"]
"""How the numbers of an output are to be read. `distances`: the least is the best (rbf); `map`: an image of
neither 1 nor 3 channels."""


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

    @property
    def output(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
        """The output's shape without the batch; of several outputs, by name."""
        shapes = {name: concrete(self.graph.nodes[i].shape) for name, i in self.graph.outputs.items()}
        return next(iter(shapes.values())) if len(shapes) == 1 else shapes

    @cached_property
    def totals(self) -> Totals:
        from archdsl.analysis.count import count

        return count(self.graph)

    @property
    def params(self) -> int:
        """Trained numbers, auxiliary heads not counted."""
        return self.totals.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample at the default input size."""
        return self.totals.macs

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-accumulate."""
        return self.totals.flops

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the graph itself: ops, fields, wiring and names; formatting and comments do not count."""
        import hashlib
        import json

        digest = hashlib.sha256()
        for node in self.graph.nodes:
            row = [node.path, node.op.kind, node.op.explicit(), node.inputs, concrete(node.shape)]
            digest.update(json.dumps(row, default=str).encode())
        digest.update(json.dumps([dict(self.graph.outputs), {k: v.node for k, v in self.graph.aux.items()}]).encode())
        return digest.hexdigest()

    @property
    def files(self) -> tuple[str, ...]:
        """The spec's own file, where it has one."""
        path = self.document.source.path
        return () if path is None else (str(path),)

    @cached_property
    def labels(self) -> tuple[str, ...] | None:
        """Names of the classes, where they fit the output's width."""
        labels = self.document.labels
        return labels if labels is not None and len(labels) == self.classes else None

    @property
    def classes(self) -> int | None:
        """The width of the (first) output where it is a vector."""
        shape = concrete(self._output_node.shape)
        return shape[0] if len(shape) == 1 or set(shape[1:]) == {1} else None

    @property
    def reading(self) -> Reading:
        """How the (first) output is to be read, told by the op that makes it."""
        node = self._output_node
        if self.classes is None:
            return "image" if concrete(node.shape)[0] in (1, 3) else "map"
        while not node.op.stored and node.inputs:  # a flatten, or a dropout, changes no number
            node = self.graph.nodes[node.inputs[0]]
        return node.op.score

    @cached_property
    def recipe(self) -> Recipe | None:
        """How an image becomes its input; None where it has not just one for images. Raises E0806."""
        from archdsl.diagnostics import error
        from archdsl.runtime.recipe import Unfit, settle

        shapes = [concrete(self.graph.nodes[i].shape) for i in self.graph.inputs]
        images = [shape for shape in shapes if len(shape) == 3] if len(shapes) > 1 else shapes
        if len(images) != 1:
            return None
        written = self.document.tree.get("preprocess")
        free = self.reading == "image" and bool(self.graph.sizes) and not any(s.pinned for s in self.graph.sizes)
        try:
            return settle(self.document.preprocess, isinstance(written, Scalar), images[0], free)
        except Unfit as problem:
            if written is None:  # nothing was said of images: only `predict` minds
                return None
            raise error("E0806", f"the preprocessing does not fit: {problem}", written.span, help=_UNFIT) from None

    @property
    def starts_at_random(self) -> bool:
        """Whether any number that inference uses is drawn at random when no weights are given."""
        tensors = self.graph.tensors
        return any(t.param.init.how in ("kaiming", "uniform") and not t.node.training for t in tensors)

    @property
    def _output_node(self) -> Node:
        return self.graph.nodes[next(iter(self.graph.outputs.values()))]

    # --- what is made of it ------------------------------------------------------------------------------

    def weights(self, source: Any = None, seed: int | None = None, reinit: Sequence[str] = ()) -> Weights:
        """Its tensors by name: initialised from `seed` (default 0), or those of `source`, fitted to it.

        `source`: a path (.safetensors, .pth), or a mapping of arrays or torch tensors such as a state_dict. `reinit`
        names tensors (`fc.*`) that start afresh all the same. Raises E06xx where they do not fit.
        """
        from archdsl.backends.weights.resolve import given
        from archdsl.packages import require_package

        require_package("numpy")
        return given(self.graph, source, seed or 0, reinit)

    def to_torch(self, weights: Any = None, seed: int | None = None, device: str | None = None) -> nn.Module:
        """A PyTorch module in evaluation mode, whose state_dict keys are the node paths.

        `weights` and `seed` as for `weights()`. The tensors of a file are not copied: they lie in it until they are
        written to, so do not change the file in place meanwhile. On the device `meta` there are shapes only, and
        nothing is allocated. Raises E06xx where the weights do not fit, E0801 where torch is not installed.
        """
        from archdsl.packages import install_command, require_package

        require_package("torch", "E0801", f"{install_command('torch')}; `to_source` and `to_onnx` do not need it")
        from archdsl.backends.torch.module import build, to_torch

        if device == "meta" and weights is None:
            return build(self.graph)
        given = None if weights is None else self.weights(weights, seed)
        module = to_torch(self.graph, given, seed, own=isinstance(weights, (str, Path)))
        return module if device is None else module.to(device)

    def to_source(self) -> str:
        """A Python file that imports only torch and defines this network. Needs no torch."""
        from archdsl.backends.torch import to_source

        return to_source(self.graph, paper=self._paper_line(), fingerprint=self.fingerprint)

    def to_onnx(
        self,
        path: str | Path,
        weights: Any = None,
        seed: int | None = None,
        *,
        passes: Sequence[str] | None = None,
        precision: Precision = "fp32",
        value_info: bool = False,
        free_sizes: bool | None = None,
        external_data: bool | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> WrittenModel:
        """Writes an ONNX file; without `weights` they are random, and the file's metadata says so.

        `passes` are the names of those that make it smaller (`archdsl.passes.optimise.PASSES`), by default all; with
        none every tensor lies there under its state_dict's name. `precision` may be half, `fp16` or `bf16`.
        `value_info` adds the shape of every value, for viewers. The batch is always free, height and width are as
        `free_sizes` says, by default for a network that gives maps and not for one that gives classes: fixed they run
        faster. Weights lie in `<path>.data` beside it from 2 GB on, or as `external_data` says. `weights` and `seed` as
        for `weights()`. Raises E06xx where the weights do not fit, E07xx where the file cannot be written.
        """
        from archdsl.packages import require_package

        require_package("numpy")
        from archdsl.backends.onnx.write import write
        from archdsl.backends.weights import Weights, folded
        from archdsl.passes.optimise import PASSES

        values = weights if isinstance(weights, Weights) else self.weights(weights, seed)
        inputs = [*self.files, *([weights] if isinstance(weights, (str, Path)) else [])]
        graph = self.optimised(passes)
        if graph is not self.graph:
            values = folded(values, graph)
        names = " ".join(PASSES if passes is None else passes)
        meta = {**self.metadata(), **({"passes": names} if names else {})}
        return write(
            graph,
            values,
            path,
            meta=meta,
            precision=precision,
            value_info=value_info,
            free_sizes=self.classes is None if free_sizes is None else free_sizes,
            external_data=external_data,
            inputs=inputs,
            force=force,
            progress=progress,
        )

    def optimised(self, passes: Sequence[str] | None = None) -> Graph:
        """The graph for inference, after `passes` (all, unless they are named).

        Its tensors are those of `archdsl.backends.weights.folded(weights, graph)`.
        """
        from archdsl.passes.optimise import PASSES, optimise

        return optimise(self.graph, tuple(PASSES) if passes is None else passes)

    def metadata(self) -> dict[str, str]:
        """What travels with a compiled network: the spec, its name and hash, preprocessing, labels, paper, how to read
        its output."""
        import json

        from archdsl.backends.spec.rewrite import short_text

        meta = {
            "name": self.name,
            "spec_sha256": self.fingerprint,
            "params": str(self.params),
            "macs": str(self.macs),
            "output": self.reading,
            "spec": short_text(self.document, self.args),
        }
        if self.args:
            meta["args"] = json.dumps({k: _jsonable(v) for k, v in self.args.items()})
        if self.recipe is not None:
            meta["preprocess"] = self.recipe.to_json()
        if self.labels:
            meta["labels"] = json.dumps(self.labels, ensure_ascii=False)
        if self.document.paper is not None:
            meta["paper"] = self.document.paper.model_dump_json(exclude_none=True)
        if not any(t.param.trained for t in self.graph.tensors):
            meta["weights"] = "fixed by the spec"
        return meta

    def _paper_line(self) -> str:
        paper = self.document.paper
        if paper is None:
            return ""
        authors = paper.authors if isinstance(paper.authors, str) else ", ".join(paper.authors or ())
        where = f"arXiv {paper.arxiv}" if paper.arxiv else f"doi {paper.doi}" if paper.doi else ""
        return ", ".join(str(p) for p in (authors, paper.title, paper.year, where) if p)

    def diagram(
        self, level: str = "block", style: str = "graph", focus: str = "", unfold: Sequence[str] = (), **options: Any
    ) -> str:
        """The drawing as SVG text.

        `level`: network, block or layer; `focus` a block's path, drawn alone; `unfold` paths to open; `options` are
        those of `archdsl.drawing.request.Options` (`theme`, `color`, `shapes`, `title`, `legend`, `direction`). Raises
        E07xx.
        """
        from archdsl.drawing.diagram import diagram
        from archdsl.drawing.model.drawing import View
        from archdsl.drawing.request import Options

        view = View(level, focus, tuple(unfold))  # type: ignore[arg-type]
        return diagram(self.graph, "svg", view, Options(**options), style).data.decode()

    def page(self, level: str = "block", focus: str = "", unfold: Sequence[str] = (), **options: Any) -> str:
        """The interactive page as HTML text, one file that works offline; the parameters, as in `diagram`, say how it
        starts."""
        from archdsl.drawing.diagram import diagram
        from archdsl.drawing.model.drawing import View
        from archdsl.drawing.request import Options

        view = View(level, focus, tuple(unfold))  # type: ignore[arg-type]
        return diagram(self.graph, "html", view, Options(**options)).data.decode()

    def summary(self, depth: int = 1, batch: int = 1) -> str:
        """The table of `archdsl params` as text."""
        from archdsl.analysis.summary import summarize
        from archdsl.report.table import params_table

        return params_table(summarize(self.graph, depth, batch=batch))

    # --- how it shows itself -----------------------------------------------------------------------------

    def __repr__(self) -> str:
        args = "".join(f", {k}={v.span.text if isinstance(v, _TREES) else show(v)}" for k, v in self.args.items())
        return f"<Network {self.name}{args}: {self.graph.input_spec}, {self.params:,} params, {self.macs:,} MACs>"

    def _repr_mimebundle_(
        self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> dict[str, str]:
        bundle = {"text/plain": repr(self)}
        try:
            bundle["image/svg+xml"] = self.diagram(theme="light")  # a notebook's own theme is not the system's
        except Exception:  # a notebook must show the text even where nothing can draw
            return bundle
        return bundle


_TREES = (Scalar, Seq, Map)


def _jsonable(value: Any) -> Any:
    return value.span.text if isinstance(value, _TREES) else value


def load(spec: str | Path, /, *, input: str | Sequence[int] | None = None, **args: Any) -> Network:
    """The network of a SPEC: a path, `path#variant`, or a name of the library (`resnet101`).

    `input` overrides the input's size (`"3x320x320"`, `(3, 320, 320)`), `args` the spec's own arguments
    (`classes=3`). Raises ArchError with all that is wrong.
    """
    return _sized(spec, args, input)


def size_text(size: str | Sequence[int] | None) -> str | None:
    """An input size as a spec writes it: `(3, 320, 320)` is `3x320x320`."""
    return size if size is None or isinstance(size, str) else "x".join(map(str, size))


def loads(text: str, /, *, variant: str | None = None, name: str = "<string>", **args: Any) -> Network:
    """The network of a spec given as text."""
    from archdsl.source import decode

    return _network(document_of(from_source(decode(text.encode(), name), variant)), args)


def as_network(
    source: str | Path | Network, args: Mapping[str, object] | None = None, input: str | Sequence[int] | None = None
) -> Network:
    """The network of a SPEC, loaded with `args` and `input` as `load` does; a `Network` is returned as it is.

    Raises ArchError as `load` does; E0003 if a `Network` comes with `args` or `input`.
    """
    if not isinstance(source, Network):
        return _sized(source, args or {}, input)
    if args or input is not None:
        raise conflict(
            f"`{source.name}` is already loaded: `args` and `input` apply to a spec", help="pass them to `archdsl.load`"
        )
    return source


def open_network(spec: str | Path, args: Mapping[str, str], size: str | None = None) -> Network:
    """As `load`, the arguments given as text in the words of a spec: `{"n": "[3, 4, 6, 3]"}`."""
    return _sized(spec, parse_overrides(args), size)


def _sized(spec: str | Path, args: Mapping[str, Any], input: str | Sequence[int] | None) -> Network:
    size = size_text(input)
    opened = open_spec(spec)
    try:
        return _network(document_of(opened, size), args)
    except ArchError as problem:
        raise problem if size is None else resized(problem, opened, size) from None


def _network(document: Document, args: Mapping[str, Any]) -> Network:
    return Network(document, elaborate(document, args), args)
