"""`archdsl.attribute`: explain the score of a class by a map of the input."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, get_args

import numpy as np

from archdsl.attribution import gradcam
from archdsl.attribution.occlusion import occlude, occlusion_of
from archdsl.attribution.result import Array, Attribution, Method, enlarged
from archdsl.axes import axes_of
from archdsl.backends.onnx.half_precision import Precision
from archdsl.diagnostics import Diagnostic, closest, error
from archdsl.diagnostics.arguments import check_choice, check_range, check_type, conflict
from archdsl.network import Network, as_network
from archdsl.network.trial import image_transform, one_input
from archdsl.packages import require_package
from archdsl.prediction.predictor import Predictor, open_predictor
from archdsl.progress import Progress, Watch, watched
from archdsl.runtime.model import check_unchanged, is_model, not_a_model
from archdsl.runtime.recipe import Recipe
from archdsl.runtime.session import Device, refused, require
from archdsl.runtime.transforms import ImageTransform
from archdsl.shapes import format_shape

METHODS: tuple[Method, ...] = get_args(Method)
Target: TypeAlias = int | str | None
Source: TypeAlias = str | Path | Network


def attribute(
    source: Source,
    image: Any,
    method: Method = "cam",
    target: Target = None,
    *,
    layer: str | None = None,
    window: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    baseline: float = 0.0,
    weights: str | Path | Mapping[str, object] | None = None,
    seed: int | None = None,
    precision: Precision = "fp32",
    device: Device = "auto",
    args: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
    watch: Watch | None = None,
) -> Attribution:
    """Explain the score of the class `target` (a number or a label; None: the best class) by a map of the input.

    `image` is a file, a PIL image or an array of type uint8, which are preprocessed as in `predict`, or an array of
    another type, which is one sample of the input. `method`:

    * `cam`: class activation maps, for a network that ends in a global average pool and at most one linear layer.
    * `gradcam`: Grad-CAM of the output of `layer`, a node or a block; None: the last node before the head with more
      than one pixel. Needs torch.
    * `occlusion`: how much the score decreases where a `window` has the value `baseline` (after preprocessing, so 0 is
      the mean colour of the recipe), moved by `stride`. Both are in pixels, one number for all axes or one for each.
      None: an eighth of each axis, and half of the window.

    The other parameters are those of `predict`. Raises E0880 for a network that the method cannot explain, E0881 for a
    wrong layer, E0882 for too many windows, E0883 for a class that the network does not have, E0003 for options of
    another method, and the errors of `predict`.
    """
    options = Options(method, layer, window, stride, baseline)
    model = Model(source, weights, seed, precision, device, args or {}, input)
    with opened(model, options, watch) as explainer:
        return explainer.explain(image, target, watched(watch, method))


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


@dataclass(frozen=True, slots=True)
class Model:
    """A network and how to run it, as for `attribute`."""

    source: Source
    weights: str | Path | Mapping[str, object] | None = None
    seed: int | None = None
    precision: Precision = "fp32"
    device: Device = "auto"
    args: Mapping[str, object] = field(default_factory=dict)
    input: str | Sequence[int] | None = None

    @property
    def compiled(self) -> bool:
        """Whether it is a compiled model. Raises E0003 if options of a spec are set for one."""
        if isinstance(self.source, Network) or not is_model(self.source):
            return False
        check_unchanged(
            self.source,
            weights=self.weights is not None,
            seed=self.seed is not None,
            precision=self.precision != "fp32",
            args=bool(self.args),
            input=self.input is not None,
        )
        return True


# --- an open network -------------------------------------------------------------------------------------

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

    `shape` is that of its input, without the batch; free sizes are names or None. `run` computes the map of a sample.
    """

    name: str
    method: Method
    layer: str
    shape: tuple[int | str | None, ...]
    transform: Callable[[], ImageTransform]
    labels: tuple[str, ...] | None
    measure: str
    notes: tuple[Diagnostic, ...]
    run: Callable[[Array, Choose, Progress], Explained]

    def explain(self, image: Any, target: Target, progress: Progress) -> Attribution:
        """Return the map for one input. Raises as `attribute`."""
        sample, recipe = self._sample(image)
        found = self.run(sample, self._chosen(target), progress)
        grid, label = found.grid, self.labels[found.target] if self.labels is not None else None
        notes = self.notes
        if not np.isfinite(grid).all():
            raise error("E0880", f"the map of {self.method} contains infinities or NaN: the values are too large")
        if not grid.any():
            notes += (
                Diagnostic("N0884", f"the map of {self.method} is 0 everywhere: it shows nothing", severity="note"),
            )
        return Attribution(
            self.name,
            Path(image).name if isinstance(image, (str, Path)) else "",
            self.method,
            found.target,
            label,
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

    def _sample(self, image: Any) -> tuple[Array, Recipe | None]:
        """The input as one sample, `(1, C, *sizes)`, and the recipe if it is an image."""
        values = image.detach().cpu().numpy() if hasattr(image, "detach") else image
        if not isinstance(values, np.ndarray) or values.dtype == np.uint8:
            transform = self.transform()
            return transform.array(image), transform.recipe
        sample = np.ascontiguousarray(values, np.float32)
        sample = sample[None] if sample.ndim == len(self.shape) else sample
        sizes = zip(sample.shape, (1, *self.shape), strict=False)
        if sample.ndim != len(self.shape) + 1 or any(isinstance(b, int) and a != b for a, b in sizes):
            expected = " x ".join(str(size or "?") for size in self.shape)
            message = f"`{self.name}` takes {expected}; the array has the shape {format_shape(values.shape)}"
            raise error("E0806", message, help="pass one sample; pixels of type uint8 are preprocessed")
        if not np.isfinite(sample).all():
            raise error("E0804", "the array contains infinities or NaN")
        return sample, None

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
    help_ = f"did you mean `{best}`?" if best else "pass the number of the class, from 0 on"
    raise error("E0883", f"the network has no class with the label `{target[:80]}`", status=2, help=help_)


@contextmanager
def opened(model: Model, options: Options, watch: Watch | None = None) -> Iterator[Explainer]:
    """Open a network for a method. A spec, and a compiled model without class activation maps for `cam`, is compiled.

    Raises E0880 if the method cannot explain it, and the errors of `predict`.
    """
    require_package("numpy")
    require_package("PIL")
    method, source = options.method, model.source
    if model.compiled and method != "gradcam":
        predictor = open_predictor(source, model.device)  # type: ignore[arg-type]
        if method == "occlusion" or predictor.model.facts.has_class_maps:
            yield _of_model(predictor, options)
            return
    network = as_network(source, model.args, model.input)
    values = network.weights(model.weights, model.seed or 0)
    if method == "gradcam":
        yield _of_network(network, values, options, model)
        return
    require(model.device)
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        path = Path(folder) / f"{network.name}.onnx"
        progress = watched(watch, f"compiling {network.name}")
        network.to_onnx(path, values, precision=model.precision, cam=method == "cam", progress=progress)
        explainer = _of_model(open_predictor(path, model.device), options)
        yield replace(explainer, notes=(*values.notes, *explainer.notes))


def _of_model(predictor: Predictor, options: Options) -> Explainer:
    """An ONNX file in ONNX Runtime, for `cam` and `occlusion`."""
    model, session = predictor.model, predictor.model.session
    metadata = model.facts.metadata
    (name, shape), measure = next(iter(session.inputs.items())), metadata.get("output", "")
    _check(predictor.name, shape[1:], measure in ("image", "map"))

    def outputs(values: Array) -> tuple[Array, Array]:
        """The scores `(N, classes)` and the last output."""
        try:
            arrays = [np.asarray(value, np.float32) for value in session.run({name: values})]
        except Exception as problem:
            raise refused(problem, model.facts.path) from None
        scores = arrays[0]
        _check(predictor.name, shape[1:], axes_of(scores.shape) == 0 or scores[0].size != scores.shape[1])
        return scores.reshape(len(values), -1), arrays[-1]

    def cam(sample: Array, choose: Choose, progress: Progress) -> Explained:
        (scores,), maps = outputs(sample)
        if maps.ndim != sample.ndim or maps.shape[:2] != (1, len(scores)):
            raise not_a_model(model.facts.path, "its last output has not the shape of class activation maps")
        target = choose(scores)
        return Explained(target, float(scores[target]), maps[0, target])

    def occlusion(sample: Array, choose: Choose, progress: Progress) -> Explained:
        plan = occlusion_of(sample.shape[2:], options.window, options.stride, options.baseline)
        (scores,), _ = outputs(sample)
        target, sign = choose(scores), _sign(measure)
        grid = occlude(sample, plan, lambda batch: (sign * outputs(batch)[0][:, target]).tolist(), progress)
        settings = {"window": plan.window, "stride": plan.stride, "baseline": plan.baseline}
        return Explained(target, float(scores[target]), grid, settings)

    return Explainer(
        predictor.name,
        options.method,
        metadata.get("cam", "")[:400] if options.method == "cam" else "",
        shape[1:],
        lambda: ImageTransform(model.recipe, model.sizes, model.channels),
        predictor.labels,
        measure or "output",
        predictor.notes,
        cam if options.method == "cam" else occlusion,
    )


def _of_network(network: Network, values: Any, options: Options, model: Model) -> Explainer:
    """The nodes of a network in PyTorch, for Grad-CAM."""
    if model.precision != "fp32":
        raise conflict(f"the method gradcam computes in fp32; the precision is {model.precision}")
    _check(network.name, one_input(network), network.classes is None)
    run = gradcam.build(network.graph, values, options.layer, model.device)

    def explain(sample: Array, choose: Choose, progress: Progress) -> Explained:
        scores, kept = run.scores(sample)
        target = choose(scores)
        return Explained(target, float(scores[target]), kept.map(target, _sign(network.output_kind)))

    return Explainer(
        network.name,
        "gradcam",
        run.layer.path,
        one_input(network),
        lambda: image_transform(network, network.recipe, values),
        network.labels,
        network.output_kind,
        values.notes,
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
