"""`Network`: properties of a checked network, and methods that write each artefact."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack, cast

from archdsl.axes import is_picture
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.diagnostics.arguments import (
    check_callables,
    check_flags,
    check_paths,
    check_range,
    check_type,
)
from archdsl.graph import Graph, Node
from archdsl.language.document import Document
from archdsl.language.expressions import Value, show
from archdsl.network.about import argument, label_note, paper_line, preprocessing
from archdsl.network.checks import check_complete, check_weight_options
from archdsl.network.drawable import Drawable
from archdsl.packages import install_command, require_package
from archdsl.shapes import concrete
from archdsl.source import Tree

if TYPE_CHECKING:
    import torch
    from torch import nn

    from archdsl.analysis.count import Totals
    from archdsl.analysis.stages import Section
    from archdsl.backends.weights import Weights
    from archdsl.backends.weights.inflate import Inflate
    from archdsl.backends.weights.layout import ReadingOptions
    from archdsl.backends.weights.resolve import WeightsSource
    from archdsl.compilation.onnx_options import AnyPath, Calibration, OnnxPrecision
    from archdsl.compilation.targets import TargetName
    from archdsl.compilation.write import Compiled, CompiledModel
    from archdsl.network.own_model import OwnModel
    from archdsl.progress import Progress, Watch
    from archdsl.runtime.recipe import Recipe

OutputKind: TypeAlias = Literal["logits", "probabilities", "scores", "distances", "image", "map"]
"""What the values of an output mean. `distances`: the lowest is the best (rbf); `map`: neither grey nor RGB."""


class Network(Drawable):
    """A checked network. Immutable; properties are computed at their first use.

    `args` are the overrides that it was loaded with, `document` is the spec, `graph` has the nodes. A network loaded
    with `partial` may be incomplete: its totals then count the known nodes only, its table and its drawings mark the
    others, and all that needs the whole graph raises E0005.
    """

    def __init__(
        self, document: Document, graph: Graph, args: Mapping[str, object], problem: ArchError | None = None
    ) -> None:
        self.document = document
        self.graph = graph
        self.args = cast("dict[str, Tree | Value]", dict(args))
        self.problem = problem
        """What `load` raises without `partial`."""
        self.model: OwnModel | None = None
        """The model that the network was read from; None for the network of a spec."""
        self.opened: tuple[Callable[..., Network], tuple[object, ...]] | None = None
        """The function that read the network, and its arguments."""

    def __reduce__(self) -> str | tuple[object, ...]:
        """Copy the network, also into another process, as its spec, which has been read: this opens no file."""
        return super().__reduce__() if self.opened is None else (*self.opened, {"model": self.model})

    # --- properties --------------------------------------------------------------------------------------

    @property
    def networks(self) -> tuple[Network, ...]:
        return (self,)

    @property
    def complete(self) -> bool:
        """Whether the spec has no errors, so that all nodes are known."""
        return self.problem is None

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors of the spec; empty if it is complete."""
        return tuple(d for d in (self.problem.diagnostics if self.problem else ()) if d.severity == "error")

    @property
    def whole(self) -> Graph:
        """The graph of a complete network. Raises E0005 if it is incomplete."""
        check_complete(self.graph, self.errors)
        return self.graph

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in execution order, auxiliary heads last."""
        return self.graph.nodes

    @property
    def input(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
        """The shape of the input without the batch, `(3, 224, 224)`; with several inputs, the shapes by name."""
        shapes = {self.graph.nodes[i].path: concrete(self.graph.nodes[i].shape) for i in self.graph.inputs}
        return next(iter(shapes.values())) if len(shapes) == 1 else shapes

    @property
    def output(self) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
        """The shape of the output without the batch; with several outputs, the shapes by name."""
        graph = self.whole
        shapes = {name: concrete(graph.nodes[i].shape) for name, i in graph.outputs.items()}
        return next(iter(shapes.values())) if len(shapes) == 1 else shapes

    @cached_property
    def totals(self) -> Totals:
        """Parameters, MACs and FLOPs of the network."""
        from archdsl.analysis.count import count

        return count(self.graph)

    @property
    def params(self) -> int:
        """Number of parameters, without auxiliary heads."""
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
        """SHA-256 of the graph: ops, fields, connections and names; formatting and comments do not change it."""
        import hashlib
        import json

        digest = hashlib.sha256()
        for node in self.whole.nodes:
            row = [node.path, node.op.name, node.op.explicit(), node.inputs, concrete(node.shape)]
            row += [node.shared_with] if node.shared_with else []
            digest.update(json.dumps(row, default=str).encode())
        digest.update(json.dumps([dict(self.graph.outputs), {k: v.node for k, v in self.graph.aux.items()}]).encode())
        return digest.hexdigest()

    @property
    def files(self) -> tuple[str, ...]:
        """The path of the spec's file, or of the model's; empty for a spec from text."""
        path = self.document.source.path
        return self.model.files if self.model is not None else () if path is None else (str(path),)

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """Notes of the graph, and N0903 if the spec's labels are ignored."""
        return (*self.graph.notes, *(label_note(self.document, self.classes) if self.complete else ()))

    @cached_property
    def labels(self) -> tuple[str, ...] | None:
        """Names of the classes; None if the spec has none or their number differs from the output's."""
        labels = self.document.labels
        return labels if labels is not None and len(labels) == self.classes else None

    @property
    def classes(self) -> int | None:
        """The length of the first output; None if it is not a vector."""
        shape = concrete(self._output_node.shape)
        return shape[0] if set(shape[1:]) <= {1} else None

    @property
    def output_kind(self) -> OutputKind:
        """What the values of the first output mean, from its shape and the op that computes it."""
        node = self._output_node
        if self.classes is None:
            return "image" if is_picture(concrete(node.shape)) else "map"
        while not node.op.stored and node.inputs:  # a flatten or a dropout changes no value
            node = self.graph.nodes[node.inputs[0]]
        return node.op.score

    @cached_property
    def recipe(self) -> Recipe | None:
        """The preprocessing of an image; None unless just one input is an image. Raises E0806 if it does not match."""
        shapes = [concrete(self.whole.nodes[i].shape) for i in self.graph.inputs]
        free = self.output_kind == "image" and bool(self.graph.sizes) and not any(s.pinned for s in self.graph.sizes)
        return preprocessing(self.document, shapes, free)

    @property
    def starts_at_random(self) -> bool:
        """Whether weights that inference uses are random unless `weights` is set."""
        tensors = self.whole.tensors
        return any(t.param.init.how in ("kaiming", "uniform") and not t.node.training for t in tensors)

    @property
    def _output_node(self) -> Node:
        return self.whole.nodes[next(iter(self.graph.outputs.values()))]

    # --- a first try -------------------------------------------------------------------------------------

    def __getitem__(self, path: str) -> Section:
        """Return the node or the block with this path, with its nodes, parameters and MACs. Raises E0001."""
        from archdsl.analysis.stages import section

        check_type("path", path, "a path", str)
        return section(self.graph, path)

    def __call__(self, value: object) -> Any:
        """Return the output for an image, an array or a tensor, of a module that is built at the first call.

        A PIL image, a path or an array of type uint8 is preprocessed as in `predict`; a tensor or any other array is
        one sample or a batch. Warns (UserWarning) if the weights are random. Raises E0801 without torch, E0804 or E0806
        if the value cannot be used.
        """
        import warnings

        from archdsl.network.trial import run

        own = "random" if self.model is None else self.model.own_weights().source
        if own.startswith("random") and self.starts_at_random:
            message = f"the weights of `{self.name}` are random: its outputs are meaningless; try `to_torch(weights)`"
            warnings.warn(message, stacklevel=2)
        return run(self, self._module, value)

    @cached_property
    def _module(self) -> nn.Module:
        return self.to_torch()

    def transforms(
        self, train: bool = False, weights: Weights | None = None, least_area: float = 0.08
    ) -> Callable[[Any], torch.Tensor]:
        """Return the preprocessing of `predict` as a function from an image to a tensor, `(C, H, W)`.

        It takes PIL images, arrays of type uint8, `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, and paths. With `train` it
        crops and flips at random (`torchvision.transforms.v2`), with the same colours; a crop has a part of the image's
        area that is at least `least_area`, by default only 8 % as in ImageNet's training. `weights`, the result of
        `weights()`, replace the spec's preprocessing by their own if they have one. Raises E0806 if the input is not
        an image, E0002 for a wrong `least_area`.
        """
        from archdsl.network.trial import image_transform

        check_flags(train=train)
        check_range("least_area", least_area, 0.01, 1, whole=False)
        transform = image_transform(self, self.recipe, weights)
        return transform.for_training(least_area) if train else transform

    # --- artefacts ---------------------------------------------------------------------------------------

    def weights(
        self,
        source: WeightsSource | None = None,
        seed: int = 0,
        reinit: Sequence[str] = (),
        strict: bool = False,
        inflate: Inflate | None = None,
        **reading: Unpack[ReadingOptions],
    ) -> Weights:
        """Return the network's tensors by name: those of `source`, else those of its model, else from `seed`.

        `source`: a path (.safetensors, .pth), a name such as `torchvision:IMAGENET1K_V2` (docs/pretrained.md), or a
        mapping of arrays or torch tensors such as a state_dict. Only a name may reach the network. `reinit`
        names tensors (`fc.*`) that are initialised anyway. `inflate` gives filters for images the axes of this network:
        repeated and divided (`mean`), or the middle of zeros (`centre`). `strict` makes weights that are not finite, or
        all zero, an error; without it that is W0606 in the result's `notes`, which
        nothing prints. `reading` are the fields of `archdsl.backends.weights.layout.Reading`: `part`,
        `rename`, `ignore` and `adapt_input` read files of another layout. Raises E06xx if they do not match; E0001 to
        E0004 for the options.
        """
        require_package("numpy")
        from archdsl.backends.weights.resolve import resolve_weights, strict_weights
        from archdsl.network.named import named_weights
        from archdsl.pretrained.names import is_name

        source = self._source(source)
        options = check_weight_options(source, seed, reinit, inflate, **reading)
        named = named_weights(self, source) if is_name(source) else None
        source = source if named is None else named.path
        classes = self.classes if "classes" in self.document.args else None
        values = resolve_weights(self.whole, source, seed, reinit, inflate, classes, options)
        values = values if named is None else named.around(values)
        return strict_weights(values) if strict else values

    def _source(self, source: WeightsSource | None) -> WeightsSource | None:
        """The source of the weights: that of the caller, else the network's own model."""
        return self.model.own_weights() if source is None and self.model is not None else source

    def _fitted(
        self,
        source: WeightsSource | None,
        seed: int,
        reinit: Sequence[str],
        strict: bool,
        inflate: Inflate | None,
        reading: ReadingOptions,
    ) -> Weights:
        """As `weights`, but `Weights` are returned as they are: matching them again would repeat their notes."""
        from archdsl.backends.weights import Weights
        from archdsl.backends.weights.resolve import strict_weights

        check_flags(strict=strict)
        source = self._source(source)
        if type(source) is not Weights or reinit or inflate or any(reading.values()):
            return self.weights(source, seed, reinit, strict, inflate, **reading)
        check_weight_options(source, seed, ())
        return strict_weights(source) if strict else source

    def to_torch(
        self, weights: WeightsSource | None = None, seed: int = 0, device: str | torch.device | None = None
    ) -> nn.Module:
        """Return a PyTorch module in evaluation mode; its state_dict keys are the node paths.

        Call `.train()` before you train it: Lightning and most loops of others keep the mode.

        `weights` and `seed` as for `weights()`. The tensors of a file are mapped, not copied: do not change the file in
        place while the module is in use. On the device `meta` the module has shapes only, and nothing is allocated.
        Warns (UserWarning) about suspicious weights: W0606, W0624, W0625. Raises E06xx if the weights do not match,
        E0801 without torch, E0803 for a device that torch cannot use.
        """
        import warnings

        require_package("torch", "E0801", f"{install_command('torch')}; `to_source` and `to_onnx` do not need it")
        from archdsl.backends.torch.module import build, to_torch, usable_device

        target = None if device is None else usable_device(device)
        values = self.weights(weights, seed)
        if weights is None and target is not None and target.type == "meta":
            return build(self.graph)
        for note in values.notes if isinstance(weights, (str, os.PathLike)) else ():
            if note.severity == "warning":
                warnings.warn(f"{note.code}: {note.message}", stacklevel=2)
        module = to_torch(self.graph, values, own=weights is None or isinstance(weights, (str, os.PathLike)))
        return module if target is None else module.to(target)

    def to_source(self) -> str:
        """Return a Python file that defines this network and imports only torch. Does not need torch itself."""
        from archdsl.backends.torch import to_source

        return to_source(self.whole, paper=paper_line(self.document), fingerprint=self.fingerprint)

    def to_onnx(
        self,
        path: AnyPath,
        weights: WeightsSource | None = None,
        seed: int = 0,
        *,
        reinit: Sequence[str] = (),
        strict: bool = False,
        inflate: Inflate | None = None,
        passes: Sequence[str] | None = None,
        precision: OnnxPrecision = "fp32",
        calibrate: Calibration | None = None,
        value_info: bool = False,
        free_sizes: bool | None = None,
        external_data: bool | None = None,
        opset: int | None = None,
        cam: bool = False,
        embed_preprocess: bool = False,
        force: bool = False,
        progress: Progress | None = None,
        **reading: Unpack[ReadingOptions],
    ) -> CompiledModel:
        """Write an ONNX file. Without `weights` they are random, and the file's metadata records that.

        `passes` names the optimisations to run (`archdsl.passes.optimise.PASSES`), by default all; with an empty list
        the file has every tensor of the state_dict under the same name. `precision` may be `fp16`, `bf16`, or `int8`,
        which needs samples to `calibrate` on: images or `.npy` arrays, in a folder or as a list of paths. `value_info`
        adds the shape of every value, for viewers. The batch size is always free; `free_sizes` frees the spatial sizes
        too, by default unless the output is a vector of classes: fixed sizes run faster. `external_data` writes the
        weights to `<path>.data`, by default from 2 GB on. `opset` is the version of ONNX's ops, from 13, for an older
        runtime; the IR version follows it. `cam` adds class activation maps, `(N, classes, *sizes)`, as the last
        output. `embed_preprocess` puts resize, crop, scale and normalisation of images into the file, whose input
        `pixels` is then uint8, `N x height x width x 3` (RGB). `weights`, `seed`, `reinit`, `strict`, `inflate` and
        `reading` as for `weights()`.

        Raises E06xx if the weights do not match, E07xx if the file cannot be written, E0001 for an unknown precision or
        pass, E0002 for an unknown opset, E0003 for options that exclude each other, E0870 for an opset that cannot
        express the network, E0871 for preprocessing that cannot be embedded, E0802 to E0806 and E0861 for int8, E0880
        for a network without class activation maps.
        """
        from archdsl.compilation.onnx_options import checked_options
        from archdsl.compilation.write import Compilation, compile_onnx

        check_complete(self.graph, self.errors)
        check_type("path", path, "a path", str, os.PathLike)
        check_callables(progress=progress)
        options = checked_options(
            passes, precision, calibrate, value_info, free_sizes, external_data, opset, cam, embed_preprocess
        )
        values = self._fitted(weights, seed, reinit, strict, inflate, reading)
        return compile_onnx(
            Compilation(self, values, options, self._inputs(weights), force, lambda _: progress),
            Path(path),
        )

    def compile(
        self,
        output: AnyPath | None = None,
        target: TargetName | Sequence[TargetName] = "onnx",
        *,
        weights: WeightsSource | None = None,
        seed: int = 0,
        reinit: Sequence[str] = (),
        strict: bool = False,
        inflate: Inflate | None = None,
        passes: Sequence[str] | None = None,
        precision: OnnxPrecision = "fp32",
        calibrate: Calibration | None = None,
        value_info: bool = False,
        free_sizes: bool | None = None,
        external_data: bool | None = None,
        opset: int | None = None,
        cam: bool = False,
        embed_preprocess: bool = False,
        force: bool = False,
        progress: Watch | None = None,
        **reading: Unpack[ReadingOptions],
    ) -> Compiled:
        """Write the files of one or several targets, `onnx`, `torch` and `weights`: all of them or none.

        `output` is the file, for several targets the folder; by default NAME with the target's suffix in the current
        folder. `progress` is called with the name of each step; it returns None, or a function that is called with the
        finished and the total amount of that step. The other parameters are those of `to_onnx`.

        Raises as `to_onnx` does; E0001 for an unknown target, E0003 for an option that no target has.
        """
        from archdsl.compilation.onnx_options import check_targets_have, checked_options
        from archdsl.compilation.targets import checked_targets, stores_weights
        from archdsl.compilation.write import Compilation, compile_network, paths_of

        check_paths(output=output)
        targets = checked_targets(target)
        options = checked_options(
            passes, precision, calibrate, value_info, free_sizes, external_data, opset, cam, embed_preprocess
        )
        check_targets_have(targets, options, weights is not None)
        weights = self._source(weights) if stores_weights(targets) else weights
        check_weight_options(weights, seed, reinit, inflate, **reading)
        self.recipe  # noqa: B018 - wrong preprocessing is an error before anything is written
        values = self._fitted(weights, seed, reinit, strict, inflate, reading) if stores_weights(targets) else None
        work = Compilation(self, values, options, self._inputs(weights), force, progress)
        return compile_network(work, paths_of(self.name, targets, output))

    def _inputs(self, weights: WeightsSource | None) -> tuple[AnyPath, ...]:
        """The files that a compilation reads, which no output may replace."""
        return (*self.files, *([weights] if isinstance(weights, (str, os.PathLike)) else []))

    def optimised(self, passes: Sequence[str] | None = None) -> Graph:
        """Return the graph for inference after `passes`, by default all.

        Its tensors are those of `archdsl.backends.weights.folded(weights, graph)`. Raises E0001 for an unknown pass,
        E0004 if `passes` is not a list of names.
        """
        from archdsl.passes.optimise import PASSES, optimise

        return optimise(self.whole, tuple(PASSES) if passes is None else passes)

    def metadata(self) -> dict[str, str]:
        """Return the metadata that a compiled file stores: spec, hash, preprocessing, labels, paper, kind of output."""
        from archdsl.network.metadata import metadata

        return metadata(self)

    def summary(self, depth: int = 1, batch: int = 1) -> str:
        """Return the table of `archdsl params` as text: rows for `depth` levels of blocks, MACs of `batch` samples.

        Raises E0002 for a depth outside 0 to 64, or a batch outside 1 to 2^31 - 1.
        """
        from archdsl.analysis.summary import summarize
        from archdsl.report.shown import Text
        from archdsl.report.table import params_table

        check_range("depth", depth, 0, 64)
        check_range("batch", batch, 1, 2**31 - 1)
        return Text(params_table(summarize(self.graph, depth, batch=batch)))

    # --- display -----------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        args = "".join(f", {k}={show(argument(v))}" for k, v in self.args.items())
        counts = f"{self.params:,} params, {self.macs:,} MACs" if self.complete else "incomplete"
        return f"<Network {self.name}{args}: {self.graph.input_spec}, {counts}>"
