"""A compiled model with one input: its metadata, its session, and its preprocessing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike

from archdsl.axes import FORMS, IMAGE, MOST, VECTOR, VOLUME, Kind, kind_of
from archdsl.diagnostics import error
from archdsl.runtime.embedded import raw_pixels
from archdsl.runtime.images import Source
from archdsl.runtime.model import EMBEDDED, ModelFacts, check_runnable, not_a_model, read_facts
from archdsl.runtime.preprocess import LegalSizes, Prepared, prepare
from archdsl.runtime.recipe import DEFAULT_ORIENTATION, Layout, Recipe
from archdsl.runtime.session import Device, Session, Tuning, open_session

_SIZE = re.compile(r"(\w+) >= (\d+)(?:, steps of (\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ImageModel:
    """A model with one float32 input, `(N, C, *sizes)` with 1 to 3 spatial axes, or `(N, features)`, or with the raw
    pixels of images as its input.

    `sizes` are the legal sizes: of the spatial axes, or of the number of features, for which `channels` is 0; empty for
    raw pixels.
    """

    facts: ModelFacts
    session: Session
    recipe: Recipe
    sizes: tuple[LegalSizes, ...]
    channels: int

    @property
    def input_name(self) -> str:
        return next(iter(self.session.inputs))

    @property
    def axes(self) -> int:
        """The number of spatial axes of the input, which `images.scan` needs; 0 for a vector."""
        return len(self.sizes) if self.channels else len(IMAGE.letters) if self.facts.embedded else 0

    def prepare(self, source: str | PathLike[str] | Source) -> Prepared:
        """Return a file, or a sample of `images.scan`, as one sample of the input. Any thread may call it.

        Raises E0804, E0806 or E0812 if the sample cannot be used.
        """
        if self.facts.embedded:
            return raw_pixels(source)
        return prepare(source, self.recipe, self.sizes, self.channels)


def open_image_model(path: str | PathLike[str], device: Device = "auto", tuning: Tuning = Tuning()) -> ImageModel:
    """Open a model file with one input and its preprocessing on a device. Raises E0802 to E0806."""
    facts = read_facts(path)
    check_runnable(facts.path)
    session = open_session(facts.path, device, tuning)
    if len(session.inputs) != 1:
        names = ", ".join(list(session.inputs)[:8])
        raise error("E0806", f"`{facts.path.name}` has {len(session.inputs)} inputs ({names}); an image fills only one")
    name, shape = next(iter(session.inputs.items()))
    shape = shape[1:]
    wanted = "tensor(uint8)" if facts.embedded else "tensor(float)"
    if session.input_types[name] != wanted:
        raise error("E0806", f"the input of `{facts.path.name}` is {session.input_types[name]}, not {wanted}")
    if facts.embedded:
        if shape[2:] != (3,):
            raise not_a_model(facts.path, "its metadata says that its input is raw pixels, but its shape is another")
        return ImageModel(facts, session, recipe_of(facts, 0), (), 0)
    channels, *sizes = shape or (None,)
    if not isinstance(channels, int) or len(sizes) > MOST:
        shown = " x ".join(str(size or "?") for size in ("N", *shape))
        message = f"the input of `{facts.path.name}`, {shown}, is not {FORMS}, with a fixed number of channels"
        raise error("E0806", message)
    if not sizes:
        return ImageModel(facts, session, recipe_of(facts, 0, VECTOR), (LegalSizes(channels),), 0)
    legal = tuple(legal_size(facts, size) for size in sizes)
    return ImageModel(facts, session, recipe_of(facts, channels, kind_of(shape)), legal, channels)


def legal_size(facts: ModelFacts, size: int | str | None) -> LegalSizes:
    """Return the legal sizes of one axis of the input."""
    if isinstance(size, int):
        return LegalSizes(size)
    match = _SIZE.fullmatch(facts.metadata.get(f"size {size}", ""))
    return LegalSizes(None, int(match[2]), int(match[3] or 1)) if match else LegalSizes()


def recipe_of(facts: ModelFacts, channels: int, kind: Kind = IMAGE) -> Recipe:
    """Return the recipe in the metadata of a model with so many channels; 0: of a vector, or not known.

    Raises E0805 for one that is malformed or does not fit.
    """
    text = facts.metadata.get(EMBEDDED if facts.embedded else "preprocess")
    if text is None:
        layouts: dict[int, Layout] = {1: "L", 3: "RGB"} if kind is IMAGE else {}
        return Recipe(layout=layouts.get(channels), orientation=DEFAULT_ORIENTATION if kind is VOLUME else None)
    try:
        recipe = Recipe.from_json(text)
    except (ValueError, TypeError, RecursionError):
        raise not_a_model(facts.path, "its metadata `preprocess` is invalid") from None
    lengths = {len(recipe.mean), len(recipe.std)} - {1, channels}
    layout = kind is IMAGE and (recipe.layout == "L") != (channels == 1)
    axes = {len(sizes) for sizes in (recipe.resize, recipe.crop) if isinstance(sizes, tuple)} - {len(kind.letters)}
    if (channels and (lengths or layout or axes)) or 0 in recipe.std or (kind is VOLUME and type(recipe.resize) is int):
        raise not_a_model(facts.path, f"its metadata `preprocess` does not fit {kind.noun} of {channels} channels")
    return recipe
