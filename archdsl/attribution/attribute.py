"""`archdsl.attribute` and `archdsl.attribute_stream`: explain the score of a class by a map of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from archdsl.attribution.explainer import Explainer, Options, Target, of_model, of_network
from archdsl.attribution.files import MapWriter
from archdsl.attribution.result import Attribution, Method
from archdsl.diagnostics.arguments import check_flags, check_paths, conflict
from archdsl.files.atomic import make_folder
from archdsl.network import Network, as_network
from archdsl.packages import require_package
from archdsl.prediction.opening import ModelOptions, ModelSource
from archdsl.prediction.picture import FORMATS
from archdsl.prediction.predict import predict_stream
from archdsl.prediction.predictor import open_predictor
from archdsl.prediction.stream import PredictStream
from archdsl.progress import Watch, watched
from archdsl.runtime.session import Device, require


def attribute(
    source: str | Path | Network,
    image: Any,
    method: Method = "cam",
    target: Target = None,
    *,
    layer: str | None = None,
    window: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    baseline: float = 0.0,
    device: Device = "auto",
    watch: Watch | None = None,
    **model: Unpack[ModelOptions],
) -> Attribution:
    """Explain the score of the class `target` (a number or a label; None: the best class) by a map of the input.

    `image` is a file, a PIL image or an array `(H, W)` or `(H, W, 3)` of type uint8, which are preprocessed as in
    `predict`, or an array of another type, which is one sample of the input, `(C, *sizes)` or `(1, C, *sizes)`. The map
    of the result is `(*sizes)`, its grid as large as the method computes it. `method`:

    * `cam`: class activation maps, for a network that ends in a global average pool and at most one linear layer.
    * `gradcam`: Grad-CAM of the output of `layer`, a node or a block; None: the last node before the head with more
      than one pixel. Needs torch.
    * `occlusion`: how much the score decreases where a `window` has the value `baseline` (after preprocessing, so 0 is
      the mean colour of the recipe), moved by `stride`. Both are in pixels, one number for all axes or one for each.
      None: an eighth of each axis, and half of the window.

    `model` and the other parameters are those of `predict`. Raises E0801 for `gradcam` without torch, E0880 for a
    network that the method cannot explain, E0881 for a wrong layer, E0882 for too many windows, E0883 for a class that
    the network does not have, E0003 for options of another method, and the errors of `predict`.
    """
    options = Options(method, layer, window, stride, baseline)
    _require()
    work = replace(ModelSource(source, **model), cam=method == "cam", bare=True)
    if method == "gradcam":
        return _in_torch(work, options, device).explain(image, target, watched(watch, method))
    require(device)
    with work.opened(watch) as (path, notes):
        predictor = open_predictor(path, device)
        found = of_model(predictor, options).explain(image, target, watched(watch, method))
        warnings = predictor.model.session.warnings
    return replace(found, notes=(*notes, *found.notes, *warnings))


def attribute_stream(
    source: str | Path | Network,
    images: str | Path | Sequence[str | Path],
    folder: str | Path,
    method: Method = "cam",
    target: Target = None,
    *,
    layer: str | None = None,
    window: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    baseline: float = 0.0,
    force: bool = False,
    device: Device = "auto",
    **more: Any,
) -> PredictStream:
    """Predict any number of images, and write the map of each to a folder, which is created if it does not exist.

    Each row of the result is a prediction with the `file` of its overlay, `NAME.METHOD.png`; beside it,
    `NAME.METHOD.npz` has the arrays `map` and `grid`. `more` are options of `predict_stream`, the other parameters
    those of `attribute`. `force` replaces files that archdsl did not write. Raises as both do; errors of an image are
    rows.
    """
    check_paths(folder=folder)
    check_flags(force=force)
    if Path(folder).suffix.lower() in FORMATS and not Path(folder).is_dir():
        raise conflict(f"the maps go to a folder, and `{Path(folder).name}` names a file", "name a folder")
    if more.get("engine") is not None:
        raise conflict("maps are computed in this process: `engine` does not apply", "use `shard` to divide the images")
    options = Options(method, layer, window, stride, baseline)
    _require()
    keys = ModelOptions.__annotations__
    work = ModelSource(source, **{key: value for key, value in more.items() if key in keys})
    maps = MapWriter(Path(folder), target, force, work.files)
    maps.explainer = _in_torch(work, options, device) if method == "gradcam" else None
    stream = predict_stream(source, images, device=device, each=maps, **{**more, "cam": method == "cam", "bare": True})
    try:
        maps.explainer = maps.explainer or of_model(stream.predictor, options)
        maps.recipe = stream.predictor.model.recipe
        maps.reserve(stream.images)
        make_folder(maps.folder)
    except BaseException:
        stream.close()
        raise
    return stream


def _require() -> None:
    require_package("numpy")
    require_package("PIL")


def _in_torch(work: ModelSource, options: Options, device: Device) -> Explainer:
    """Returns a network in PyTorch; a compiled model is read as a network."""
    if work.precision != "fp32":
        raise conflict(f"the method gradcam computes in fp32; the precision is {work.precision}")
    work.compiled  # noqa: B018 - raises for options that a compiled model does not have
    network = as_network(work.source, work.args, work.input)
    return of_network(network, network.weights(work.weights, work.seed or 0), options, device)
