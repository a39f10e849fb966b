"""The smaller sections of a spec as pydantic models: paper, preprocessing, an argument's declaration.

Those of the document and its composites, which only the JSON Schema needs, are in `document_forms`.
"""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field


class Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, populate_by_name=True)


class PaperForm(Form):
    title: str = Field(description="shown in reports, drawings and the ONNX file")
    authors: str | tuple[str, ...] | None = Field(None, description="in the order of the paper")
    year: Annotated[int, Field(ge=1800, le=2200)] | None = Field(None, description="when it first appeared")
    arxiv: str | None = Field(None, description="its number there: 1512.03385")
    doi: str | None = Field(None, description="e.g. 10.1109/5.726791")


Channels: TypeAlias = Annotated[tuple[float, ...], Field(min_length=1, max_length=64)]


class Preprocess(Form):
    """How an image becomes the network's input. Values in [0, 1] times `scale`, minus `mean`, divided by `std`."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        "inception": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    }

    resize: Annotated[int, Field(ge=1, le=65536)] | None = Field(None, description="shorter side, in pixels")
    crop: Annotated[int, Field(ge=1, le=65536)] | tuple[int, int] | None = Field(
        None, description="centre crop, in pixels"
    )
    scale: float = Field(1.0, description="factor of the values, which are in [0, 1]; 255 for Caffe's networks")
    mean: Channels = Field((0.0,), description="subtracted, per channel, after the scale")
    std: Channels = Field((1.0,), description="divisor, per channel")
    layout: Literal["RGB", "BGR", "L"] | None = Field(None, description="order of the channels; L is grey")
    interpolation: Literal["bilinear", "bicubic"] = Field(
        "bilinear", description="between pixels, where the size changes"
    )


class ArgForm(Form):
    type: Literal["int", "float", "bool", "name", "list"] | None = Field(
        None, description="by default that of the default"
    )
    default: Any = Field(description="the value unless one is given")
    min: float | None = Field(None, description="the least value allowed")
    max: float | None = Field(None, description="the largest value allowed")
    doc: str | None = Field(None, description="what it is for")
