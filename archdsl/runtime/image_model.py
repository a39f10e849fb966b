"""A compiled model whose input is an image: its metadata, its session, and its preprocessing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike

from archdsl.diagnostics import error
from archdsl.runtime.model import ModelFacts, check_runnable, not_a_model, read_facts
from archdsl.runtime.preprocess import LegalSizes, Prepared, prepare
from archdsl.runtime.recipe import Recipe
from archdsl.runtime.session import Device, Session, open_session

_SIZE = re.compile(r"(\w+) >= (\d+)(?:, steps of (\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ImageModel:
    """A model with one float32 input, `(N, C, H, W)` with 1 or 3 channels, or `(N, features)`.

    `sizes` are the legal sizes: of height and width, or of the number of features.
    """

    facts: ModelFacts
    session: Session
    recipe: Recipe
    sizes: tuple[LegalSizes, ...]

    @property
    def input_name(self) -> str:
        return next(iter(self.session.inputs))

    def prepare(self, image: str | PathLike[str]) -> Prepared:
        """Return the image as one sample of the input. Raises E0804 or E0806 if the image cannot be used."""
        return prepare(image, self.recipe, self.sizes)


def open_image_model(path: str | PathLike[str], device: Device = "auto") -> ImageModel:
    """Open a model file on a device. Raises E0802 to E0806."""
    facts = read_facts(path)
    check_runnable(facts.path)
    session = open_session(facts.path, device)
    if len(session.inputs) != 1:
        names = ", ".join(list(session.inputs)[:8])
        raise error("E0806", f"`{facts.path.name}` has {len(session.inputs)} inputs ({names}); an image fills only one")
    name, shape = next(iter(session.inputs.items()))
    if session.input_types[name] != "tensor(float)":
        raise error("E0806", f"the input of `{facts.path.name}` is {session.input_types[name]}, not tensor(float)")
    channels, sizes = _legal_sizes(facts, shape)
    return ImageModel(facts, session, _recipe(facts, channels), sizes)


def _legal_sizes(facts: ModelFacts, shape: tuple[int | str | None, ...]) -> tuple[int, tuple[LegalSizes, ...]]:
    """The number of channels (0 for a vector), and the legal sizes of the other axes."""
    if len(shape) == 2 and isinstance(shape[1], int):
        return 0, (LegalSizes(shape[1]),)
    if len(shape) != 4 or shape[1] not in (1, 3):
        shown = " x ".join(str(size or "?") for size in shape)
        raise error(
            "E0806", f"the input of `{facts.path.name}`, {shown}, is not an image: N x 1 x H x W or N x 3 x H x W"
        )
    return int(shape[1]), tuple(_legal_size(facts, size) for size in shape[2:])


def _legal_size(facts: ModelFacts, size: int | str | None) -> LegalSizes:
    if isinstance(size, int):
        return LegalSizes(size)
    match = _SIZE.fullmatch(facts.metadata.get(f"size {size}", ""))
    return LegalSizes(None, int(match[2]), int(match[3] or 1)) if match else LegalSizes()


def _recipe(facts: ModelFacts, channels: int) -> Recipe:
    text = facts.metadata.get("preprocess")
    if text is None:
        return Recipe(layout="L" if channels == 1 else "RGB" if channels else None)
    try:
        recipe = Recipe.from_json(text)
    except (ValueError, TypeError, RecursionError):
        raise not_a_model(facts.path, "its metadata `preprocess` is invalid") from None
    lengths = {len(recipe.mean), len(recipe.std)} - {1, channels}
    if (channels and lengths) or 0 in recipe.std or (recipe.layout == "L") != (channels == 1) and channels:
        raise not_a_model(facts.path, f"its metadata `preprocess` does not fit {channels} channels")
    return recipe
