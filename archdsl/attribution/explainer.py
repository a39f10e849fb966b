"""A network that is ready to explain inputs by one method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, get_args

import numpy as np

from archdsl.attribution import gradcam
from archdsl.attribution.occlusion import occlude, occlusion_of
from archdsl.attribution.result import Array, Attribution, Method, enlarged, is_coarse
from archdsl.axes import axes_of
from archdsl.backends.weights import Weights
from archdsl.diagnostics import Diagnostic, closest, error
from archdsl.diagnostics.arguments import check_choice, check_range, check_type, conflict
from archdsl.network import Network
from archdsl.network.trial import image_transform, one_input
from archdsl.prediction.predictor import Predictor, random_note
from archdsl.progress import Progress
from archdsl.report.text import few
from archdsl.runtime.model import not_a_model
from archdsl.runtime.preprocess import Prepared
from archdsl.runtime.recipe import Recipe
from archdsl.runtime.session import Device
from archdsl.runtime.transforms import ImageTransform
from archdsl.shapes import format_shape

METHODS: tuple[Method, ...] = get_args(Method)
Target: TypeAlias = int | str | None
"""The number or the label of a class; None: the best one."""


@dataclass(frozen=True, slots=True)
class Options:
    """A method and its options, as for `attribute`. Raises E0001, and E0003 for options of another method."""

    method: Method
    layer: str | None = None
    window: int | Sequence[int] | None = None
    stride: int | Sequence[int] | None = None
    baseline: float = 0.0

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_type("layer", self.layer, "the path of a node", str, type(None))
        for owner, name in (("gradcam", "layer"), *(("occlusion", name) for name in ("window", "stride", "baseline"))):
            if self.method != owner and getattr(self, name) not in (None, 0.0):
                raise conflict(f"`{name}` applies to the method {owner}; the method is {self.method}")


Choose: TypeAlias = Callable[[Array], int]
"""Returns the class to explain, for the scores of all classes."""


class Explained(NamedTuple):
    """The class, its score, the map at its own resolution, and the options that were used."""

    target: int
    score: float
    grid: Array
    settings: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Explainer:
    """A network that is ready to explain inputs by one method.

    `shape` is that of its input, without the batch; free sizes are names or None. `outputs` are those of the network
    for a sample `(1, C, *sizes)`, batch first; `run` computes the map of a sample with these outputs.
    """

    name: str
    method: Method
    layer: str
    shape: tuple[int | str | None, ...]
    transform: Callable[[], ImageTransform]
    labels: tuple[str, ...] | None
    measure: str
    notes: tuple[Diagnostic, ...]
    outputs: Callable[[Array], Sequence[Array]]
    run: Callable[[Array, Sequence[Array], Choose, Progress], Explained]

    def explain(self, image: Any, target: Target, progress: Progress) -> Attribution:
        """Return the map for an image or one sample. Raises as `attribute`."""
        prepared, recipe = self._prepared(image)
        sample, name = prepared.values, Path(image).name if isinstance(image, (str, Path)) else ""
        found = self.explain_sample(sample, self.outputs(sample), name, recipe, target, progress)
        return replace(found, notes=(*prepared.notes, *found.notes))

    def explain_sample(
        self,
        sample: Array,
        outputs: Sequence[Array],
        name: str,
        recipe: Recipe | None,
        target: Target,
        progress: Progress,
    ) -> Attribution:
        """Return the map for a preprocessed sample `(1, C, *sizes)` with its outputs. Raises as `attribute`."""
        found = self.run(sample, outputs, self._chosen(target), progress)
        grid, labels, notes = found.grid, self.labels, self.notes
        if not np.isfinite(grid).all():
            raise error("E0880", f"the map of {self.method} contains infinities or NaN: the values are too large")
        if not grid.any():
            message = f"the map of {self.method} is 0 everywhere: it shows nothing"
            notes += (Diagnostic("N0884", message, severity="note"),)
        if self.method != "occlusion" and is_coarse(grid, sample.shape[2:]):
            message = f"the map of {self.method} has only {format_shape(grid.shape)} cells: it hardly shows a place"
            help_ = "use a larger input, `--explain gradcam` with an earlier `--layer`, or `--explain occlusion`"
            notes += (Diagnostic("N0886", message, severity="note", help=help_),)
        return Attribution(
            self.name,
            name,
            self.method,
            found.target,
            labels[found.target] if labels is not None and found.target < len(labels) else None,
            found.score,
            self.measure,
            self.layer,
            enlarged(grid, sample.shape[2:]),
            grid,
            sample[0],
            recipe,
            found.settings,
            notes,
        )

    def _prepared(self, image: Any) -> tuple[Prepared, Recipe | None]:
        """The input as one sample, `(1, C, *sizes)`, and the recipe if it is an image."""
        values = image.detach().cpu().numpy() if hasattr(image, "detach") else image
        if not isinstance(values, np.ndarray) or values.dtype == np.uint8:
            transform = self.transform()
            return transform.prepare(image), transform.recipe
        sample = np.ascontiguousarray(values, np.float32)
        sample = sample[None] if sample.ndim == len(self.shape) else sample
        sizes = zip(sample.shape, (1, *self.shape), strict=False)
        if sample.ndim != len(self.shape) + 1 or any(isinstance(b, int) and a != b for a, b in sizes):
            expected = " x ".join(str(size or "?") for size in self.shape)
            message = f"`{self.name}` takes {expected}; the array has the shape {format_shape(values.shape)}"
            raise error("E0806", message, help="pass one sample; pixels of type uint8 are preprocessed")
        if not np.isfinite(sample).all():
            raise error("E0804", "the array contains infinities or NaN")
        return Prepared(sample), None

    def _chosen(self, target: Target) -> Choose:
        sign = _sign(self.measure)

        def choose(scores: Array) -> int:
            if not np.isfinite(scores).all():
                raise error("E0880", f"the output of `{self.name}` contains infinities or NaN: no class is the best")
            if target is None:
                return int(np.argmax(sign * scores))
            number = _class_number(target, self.labels)
            check_range("target", number, 0, len(scores) - 1)
            return number

        return choose


def _sign(measure: str) -> float:
    """Distances speak against a class."""
    return -1.0 if measure == "distances" else 1.0


def _class_number(target: int | str, labels: tuple[str, ...] | None) -> int:
    if not isinstance(target, str):
        check_type("target", target, "the number or the label of a class", int)
        return target
    if target.isascii() and target.isdigit() and len(target) < 10:
        return int(target)
    numbers = [number for number, label in enumerate(labels or ()) if label == target]
    if len(numbers) == 1:
        return numbers[0]
    if numbers:
        message = f"{len(numbers)} classes have the label `{target[:80]}`: {', '.join(map(str, numbers[:8]))}"
        raise error("E0883", message, status=2, help="pass the number of the class")
    best = closest(target, labels or ())
    known = f"the labels are {few([f'`{label[:40]}`' for label in labels], 10)}" if labels else "it has no labels"
    help_ = f"did you mean `{best}`?" if best else f"{known}; or pass the number of the class, from 0 on"
    raise error("E0883", f"the network has no class with the label `{target[:80]}`", status=2, help=help_)


def of_model(predictor: Predictor, options: Options) -> Explainer:
    """Return an ONNX file in ONNX Runtime, for `cam` and `occlusion`. Raises E0880 if the method cannot explain it."""
    model, metadata = predictor.model, predictor.model.facts.metadata
    shape, measure = next(iter(model.session.inputs.values()))[1:], metadata.get("output", "")
    _check(predictor.name, shape, measure in ("image", "map"))
    runs = _Runs(predictor, options, shape, _sign(measure))
    cam = options.method == "cam"
    return Explainer(
        predictor.name,
        options.method,
        metadata.get("cam", "")[:400] if cam else "",
        shape,
        lambda: ImageTransform(model.recipe, model.sizes, model.channels),
        predictor.labels,
        measure or "output",
        predictor.notes,
        runs.outputs,
        runs.cam if cam else runs.occlusion,
    )


@dataclass(frozen=True, slots=True)
class _Runs:
    """The methods for an ONNX file: `shape` is that of its input, `sign` -1 if high scores speak against a class."""

    predictor: Predictor
    options: Options
    shape: tuple[int | str | None, ...]
    sign: float

    def outputs(self, values: Array) -> list[Array]:
        """Return all outputs for a batch of samples. Raises E0805 if the model fails."""
        return [np.asarray(value, np.float32) for value in self.predictor.outputs(values).values()]

    def cam(self, sample: Array, known: Sequence[Array], choose: Choose, progress: Progress) -> Explained:
        """Return the map of the chosen class from the last output."""
        (scores,), maps = self._classes(known[0]), known[-1]
        if maps.ndim != sample.ndim or maps.shape[:2] != (1, len(scores)):
            why = "its last output has not the shape of class activation maps"
            raise not_a_model(self.predictor.model.facts.path, why)
        target = choose(scores)
        return Explained(target, float(scores[target]), maps[0, target])

    def occlusion(self, sample: Array, known: Sequence[Array], choose: Choose, progress: Progress) -> Explained:
        """Return the map of the chosen class from runs with each window occluded."""
        options = self.options
        plan = occlusion_of(sample.shape[2:], options.window, options.stride, options.baseline)
        (scores,) = self._classes(known[0])
        target = choose(scores)

        def score(batch: Array) -> list[float]:
            with self.predictor.turn:
                values: list[float] = (self.sign * self._classes(self.outputs(batch)[0])[:, target]).tolist()
            return values

        grid = occlude(sample, plan, score, progress)
        settings = {"window": plan.window, "stride": plan.stride, "baseline": plan.baseline}
        return Explained(target, float(scores[target]), grid, settings)

    def _classes(self, scores: Array) -> Array:
        """The scores `(N, classes)` of the first output."""
        _check(self.predictor.name, self.shape, axes_of(scores.shape) == 0 or scores[0].size != scores.shape[1])
        return scores.reshape(len(scores), -1)


def of_network(network: Network, values: Weights, options: Options, device: Device) -> Explainer:
    """Return the nodes of a network in PyTorch, for `gradcam`. Raises E0880, E0881, and E0801 without torch."""
    shape = one_input(network)
    _check(network.name, shape, network.classes is None)
    run = gradcam.build(network.graph, values, options.layer, device)
    sign = _sign(network.output_kind)

    def explain(sample: Array, known: Sequence[Array], choose: Choose, progress: Progress) -> Explained:
        scores, kept = run.scores(sample)
        target = choose(scores)
        return Explained(target, float(scores[target]), kept.map(target, sign))

    random = values.source if network.starts_at_random else ""
    return Explainer(
        network.name,
        "gradcam",
        run.layer.path,
        shape,
        lambda: image_transform(network, network.recipe or Recipe(), values),
        network.labels,
        network.output_kind,
        (*values.notes, *random_note(network.name, random)),
        lambda sample: (),
        explain,
    )


def _check(name: str, shape: Sequence[int | str | None], image: bool) -> None:
    """Raise E0880 for an input without axes, and for an output that is an image."""
    if axes_of(shape) == 0:
        message = f"the input of `{name}` is a vector: no map shows where its values are"
        raise error("E0880", message, status=2, help="explain a network whose input is a signal, an image or a volume")
    if image:
        message = f"`{name}` outputs an image, not the scores of classes: no single score explains it"
        raise error("E0880", message, status=2, help="explain a classifier; its first output is a vector of classes")
