"""Compare the preprocessing inside an ONNX file with that of archdsl, on random images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.runtime.embedded import INPUT, only_preprocessing
from archdsl.runtime.image_model import legal_size, recipe_of
from archdsl.runtime.images import Pixels, as_source
from archdsl.runtime.model import ModelFacts, not_a_model
from archdsl.runtime.preprocess import prepared
from archdsl.runtime.session import open_session

SIZES = ((97, 131), (311, 190), (40, 600))
"""Heights and widths of the images."""
LEVELS = {"bilinear": 1, "bicubic": 2}
"""The allowed difference of a resize in grey levels: Pillow computes with integers, ONNX with floats, and both round
after each of two passes. The sizes of a bicubic filter's weights add up to more than 1."""
_SLACK = 0.01
"""For the rounding of the normalisation, in grey levels."""


def preprocessing_problems(facts: ModelFacts, seed: int) -> list[Diagnostic]:
    """Return E0872 if the preprocessing inside a file differs from that of archdsl, E0805 if it does not run."""
    try:
        levels, difference = _compare(facts, seed)
    except ArchError as problem:
        return list(problem.diagnostics)
    if difference <= levels + _SLACK:
        return []
    by = f"by {difference:.3g} grey levels" if difference < float("inf") else "in the shape of its result"
    message = f"the preprocessing in `{facts.path.name}` differs from that of archdsl {by}"
    return [Diagnostic("E0872", message, notes=(f"at most {levels} are allowed",), help="compile the network again")]


def _compare(facts: ModelFacts, seed: int) -> tuple[int, float]:
    """The allowed and the largest difference in grey levels; infinite for another shape."""
    import onnx
    from PIL import Image

    model = onnx.load(facts.path, load_external_data=False)
    only_preprocessing(model)
    if len(model.graph.output) != 1:
        raise not_a_model(facts.path, "its preprocessing does not end at the network's input")
    axes = model.graph.output[0].type.tensor_type.shape.dim[1:]
    channels, *sizes = (axis.dim_value if axis.HasField("dim_value") else axis.dim_param for axis in axes)
    recipe = recipe_of(facts, int(channels or 0))
    stretched = isinstance(recipe.resize, int) and recipe.crop is None
    allowed = LEVELS[recipe.interpolation] * (2 if stretched else 1)
    legal = [legal_size(facts, size) for size in sizes]
    session = open_session(model.SerializeToString(), "cpu")
    random, difference = np.random.default_rng(seed), 0.0
    deviation = np.asarray(recipe.std, np.float64).reshape(-1, 1, 1)
    for height, width in SIZES:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        try:
            (got,) = session.run({INPUT: image[None]})
        except Exception as problem:
            raise not_a_model(facts.path, f"its preprocessing fails: {str(problem)[:200]}") from None
        want = prepared(Pixels(Image.fromarray(image)), recipe, legal, as_source(Path("random.png"))).values
        if got.shape != want.shape:
            return allowed, float("inf")
        levels = np.abs(got.astype(np.float64) - want) * np.abs(deviation) * (255 / abs(recipe.scale or 1.0))
        difference = max(difference, float(np.nan_to_num(levels, nan=np.inf).max()))
    return allowed, difference
