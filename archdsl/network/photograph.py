"""A photograph through a network: which part of it a node sees, and what the node answers, computed by ONNX Runtime."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from archdsl.analysis.receptive_field import field_at
from archdsl.axes import KINDS, axes_of
from archdsl.diagnostics import ArchError, error, escape_control
from archdsl.drawing.model.focus import focus_on
from archdsl.drawing.request import Photo, Request, Response
from archdsl.drawing.scene import Bitmap
from archdsl.graph import Graph, Node
from archdsl.network.trial import image_transform
from archdsl.ops import Conv
from archdsl.packages import require_package
from archdsl.shapes import concrete

if TYPE_CHECKING:
    from archdsl.backends.weights import Weights
    from archdsl.backends.weights.resolve import WeightsSource
    from archdsl.runtime.preprocess import LegalSizes, Prepared
    from archdsl.runtime.recipe import Recipe

LONGEST, MOST = 512, 1024
"""The longest side of a photograph where the network takes any size, and of one that it wants in its own."""
MOST_MAPS = 8
CLIPPED = 0.5
"""The per cent of values that may be beyond black and white: a few extremes would make all others grey."""


class Photographed(Protocol):
    """The properties of a network that a figure uses."""

    @property
    def name(self) -> str: ...
    @property
    def graph(self) -> Graph: ...
    @property
    def recipe(self) -> Recipe | None: ...
    @property
    def model(self) -> object | None: ...
    def weights(self, source: WeightsSource | None = None) -> Weights: ...


@dataclass(frozen=True, slots=True)
class _Seen:
    """The input of a network, `(1, C, H, W)`, its pixels in colours, and notes on how they were made."""

    values: Any
    bitmap: Bitmap
    notes: tuple[str, ...]


def photographed(
    networks: Sequence[Photographed],
    requests: Sequence[Request],
    image: str | os.PathLike[str],
    weights: WeightsSource | None,
) -> list[Request]:
    """Return the requests with the photograph, each with the node of its focus, by default the first convolution.

    The networks are those of the requests. Responses are those of the weights, of a model, or of filters that a spec
    contains; a node behind random weights has none. Raises E0804 if the image cannot be read, E0806 or E0727 if a
    network does not take an image of its size, E0713 for an unknown focus, E0726 if the networks see different images,
    E06xx for weights, E0802 to E0805 if the network cannot be run.
    """
    require_package("numpy")
    require_package("PIL")
    own = {id(network): _seen(network, image, weights) for network in networks}
    seen = [own[id(network)] for network in networks]
    if len({one.bitmap for one in seen}) > 1:
        sizes = (
            f"{net.name} {one.bitmap.rows} x {one.bitmap.columns}" for net, one in zip(networks, seen, strict=True)
        )
        message = f"the networks see different images: {', '.join(sizes)}"
        raise error("E0726", message, status=2, help="draw each by itself")
    nodes = [_node(request) for request in requests]
    outputs = [_output(network, node, one, weights) for network, node, one in zip(networks, nodes, seen, strict=True)]
    spans = _spans(nodes, outputs)
    photos = [
        _photo(request.graph, node, escape_control(Path(image).name)[-60:], one, values, span)
        for request, node, one, values, span in zip(requests, nodes, seen, outputs, spans, strict=True)
    ]
    return [replace(request, photo=photo) for request, photo in zip(requests, photos, strict=True)]


def _seen(network: Photographed, image: str | os.PathLike[str], weights: WeightsSource | None) -> _Seen:
    import numpy as np

    from archdsl.runtime.preprocess import shown

    transform = image_transform(network, network.recipe, network.weights(weights) if weights is not None else None)
    recipe, sizes = transform.recipe, transform.sizes
    if len(sizes) != 2:
        noun = KINDS[len(sizes)].noun
        raise error("E0727", f"the input of `{network.name}` is {noun}; a photograph has rows and columns", status=2)
    prepared, notes = _prepared(image, recipe, sizes)
    high, wide = prepared.values.shape[2:]
    if max(high, wide) > MOST:
        message = f"the input of `{network.name}` has {high:,} x {wide:,} pixels"
        raise error("E0727", message, help=f"a figure has at most {MOST:,} on a side: set a smaller `--input`")
    colors = (shown(prepared.values[0], recipe) * 255 + 0.5).astype(np.uint8)
    return _Seen(prepared.values, _bitmap(colors.transpose(1, 2, 0)), notes)


def _prepared(
    image: str | os.PathLike[str], recipe: Recipe, sizes: Sequence[LegalSizes]
) -> tuple[Prepared, tuple[str, ...]]:
    """The photograph as input, reduced where the network takes any size, and notes on it."""
    from archdsl.runtime.preprocess import prepare

    reduced = False
    free = recipe.resize is None and recipe.crop is None and not sizes[0].fixed
    try:
        prepared = prepare(image, recipe, sizes)
    except ArchError:
        if not free:
            raise
        reduced = True  # more pixels than a network may read; what cannot be read at all raises again
        prepared = prepare(image, replace(recipe, resize=LONGEST // 2), sizes)
    high, wide = prepared.values.shape[2:]
    if free and max(high, wide) > LONGEST:
        reduced, scale = True, LONGEST / max(high, wide)
        small = max(1, round(high * scale)), max(1, round(wide * scale))
        prepared = prepare(image, replace(recipe, resize=small), sizes)
    size = " x ".join(map(str, prepared.values.shape[2:]))
    notes = [f"The photograph was reduced to {size} pixels."] if reduced else []
    return prepared, (*(note.message for note in prepared.notes), *notes)


def _node(request: Request) -> Node:
    """The last node of the focus that runs at inference; without a focus the first convolution."""
    graph, focus = request.graph, request.view.focus
    part = focus_on(graph, request.view)
    if part is None:
        node = next((node for node in graph.running if isinstance(node.op, Conv)), None)
        if node is None:
            raise error("E0727", f"`{graph.name}` has no convolution", status=2, help="set `--focus`")
        return node
    running = [node for node in graph.running if node.id in part.copies[0]]
    if not running:
        raise error("E0727", f"`{focus}` of `{graph.name}` does not run at inference", status=2)
    return running[-1]


def _output(network: Photographed, node: Node, seen: _Seen, weights: WeightsSource | None) -> Any:
    """The values of a node, `(C, H, W)`; None if they are no maps, or those of random weights."""
    from archdsl.backends.onnx.write import write
    from archdsl.passes.optimise import optimise
    from archdsl.runtime.session import open_session

    part = replace(network.graph, outputs={"response": node.id}, aux={})
    part = optimise(part, ["drop-training", "drop-dead"])
    random = any(tensor.param.init.how in ("kaiming", "uniform") for tensor in part.tensors)
    if axes_of(node.shape) != 2 or (random and weights is None and network.model is None):
        return None
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        path = Path(folder) / "part.onnx"
        write(part, network.weights(weights), path)
        session = open_session(path, "cpu")
        return session.run({next(iter(session.inputs)): seen.values})[0][0]


def _spans(nodes: Sequence[Node], outputs: Sequence[Any]) -> list[tuple[float, float]]:
    """The values of black and white of each response: of one filter in the specs the same for all strides."""
    import numpy as np

    keys = [getattr(node.op, "weight", None) or number for number, node in enumerate(nodes)]
    spans: list[tuple[float, float]] = []
    for key in keys:
        values = [v.ravel() for other, v in zip(keys, outputs, strict=True) if other == key and v is not None]
        if not values:
            spans.append((0.0, 1.0))
            continue
        together = np.concatenate(values)
        edge = float(f"{np.percentile(np.abs(together), 100 - CLIPPED):.2g}") or float(np.abs(together).max()) or 1.0
        spans.append((-edge if together.min() < 0 else 0.0, edge))
    return spans


def _photo(graph: Graph, node: Node, name: str, seen: _Seen, output: Any, span: tuple[float, float]) -> Photo:
    import numpy as np

    high, wide = seen.values.shape[2:]
    names = {size.name: value for size, value in zip(graph.sizes, (high, wide), strict=False)}
    sizes = concrete(node.shape, names)
    field = field_at(graph, node.id, [size // 2 for size in sizes[1:]]) if axes_of(node.shape) else None
    if output is None:
        return Photo(name, seen.bitmap, node.id, sizes, field, None, seen.notes)
    if not np.isfinite(output).all():
        raise error("E0727", f"the output of `{node.path}` of `{graph.name}` has values that are not finite")
    black, white = span
    greys = np.clip((output[:MOST_MAPS] - black) / (white - black) * 255 + 0.5, 0, 255).astype(np.uint8)
    response = Response(tuple(map(_bitmap, greys)), black, white, float(output.min()), float(output.max()))
    return Photo(name, seen.bitmap, node.id, sizes, field, response, seen.notes)


def _bitmap(values: Any) -> Bitmap:
    return Bitmap(values.shape[1], values.shape[0], values.tobytes())
