"""Pydantic models of the small sections of a spec: paper, preprocessing, the declaration of an argument.

The models of the document and its composites, which only the JSON Schema needs, are in `schema.models`.
"""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field


class Form(BaseModel):
    """Base of all models: strict, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, populate_by_name=True)


class PaperForm(Form):
    """`paper`: where the network was published."""

    title: str = Field(description="shown in reports, drawings and the ONNX file")
    authors: str | tuple[str, ...] | None = Field(None, description="in the order of the paper")
    year: Annotated[int, Field(ge=1800, le=2200)] | None = Field(None, description="year of the first publication")
    arxiv: str | None = Field(None, description="arXiv identifier, e.g. 1512.03385")
    doi: str | None = Field(None, description="DOI, e.g. 10.1109/5.726791")


Channels: TypeAlias = Annotated[tuple[float, ...], Field(min_length=1, max_length=64)]


Length: TypeAlias = Annotated[int, Field(ge=1, le=65536)]
Lengths: TypeAlias = Annotated[tuple[Length, ...], Field(min_length=2, max_length=3)]


class Preprocess(Form):
    """Preprocessing of an image or a volume, in the order of the steps; at the end, values in [0, 1] times `scale`,
    minus `mean`, divided by `std`."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        "inception": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    }
    windows: ClassVar[dict[str, tuple[float, float]]] = {"lung": (-600, 1500), "bone": (400, 1800), "brain": (40, 80)}
    """Centre and width in HU, as radiologists view a CT (Radiopaedia, "Windowing (CT)")."""

    orientation: str | None = Field(
        None, description="of a volume: the direction of each axis, as `SPL` (the default), or `stored`"
    )
    spacing: Annotated[tuple[float, ...], Field(min_length=3, max_length=3)] | None = Field(
        None, description="of a volume: millimetres between voxels, for each axis"
    )
    window: Literal["lung", "bone", "brain"] | tuple[float, float] | None = Field(
        None, description="centre and width of the values that become 0 to 1, by DICOM's LINEAR rule"
    )
    intensity: tuple[float, float] | None = Field(
        None, description="the values that become 0 and 1; others are clipped"
    )
    resize: Length | Lengths | None = Field(
        None, description="new length of the shorter edge, in pixels, or a length for each axis"
    )
    crop: Length | Lengths | None = Field(None, description="centre crop, in pixels")
    scale: float | Literal["auto"] = Field(
        "auto", description="factor of the values, which are in [0, 1]; `auto` is 1; 255 for networks from Caffe"
    )
    mean: Channels = Field((0.0,), description="subtracted per channel, after `scale`")
    std: Channels = Field((1.0,), description="divisor per channel")
    layout: Literal["RGB", "BGR", "L"] | None = Field(None, description="order of the channels; L is grey")
    interpolation: Literal["bilinear", "bicubic"] = Field(
        "bilinear", description="interpolation when the image is resized"
    )


class ArgForm(Form):
    """An argument under `args` with its type and limits."""

    type: Literal["int", "float", "bool", "name", "list"] | None = Field(
        None, description="type of the value; by default the type of `default`"
    )
    default: Any = Field(description="value if none is set")
    min: float | None = Field(None, description="smallest allowed value")
    max: float | None = Field(None, description="largest allowed value")
    scale: Literal["depth", "width"] | None = Field(
        None, description="what compound scaling, `archdsl solve --scale`, multiplies it with"
    )
    doc: str | None = Field(None, description="description")
