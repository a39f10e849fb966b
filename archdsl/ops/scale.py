"""Factors and offsets: scale and offset (learned, per channel), affine (constant)."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from archdsl.ops.base import Example, Free, Init, Look, Number, OpError, Param
from archdsl.shapes import Shape, at


class _PerChannel(Free):
    """Base of the ops with one learned value per channel, in a tensor whose key is the node's own path."""

    look: ClassVar[Look] = "other"
    parametric: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("init",)
    flags: ClassVar[dict[str, tuple[str, Any]]] = {"flat": ("flat", True), "batched": ("batched", True)}

    init: Number = Field(1.0, description="initial value")
    flat: bool = Field(False, description="the tensor has the shape (C) on any input: the layer scale of timm")
    batched: bool = Field(False, description="the tensor has the shape (1, C, 1, 1) on an image")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 1.0

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        if self.flat and self.batched:
            raise OpError("E0407", f"`{self.name}` cannot be both `flat` and `batched`", field="batched")
        return inputs[0]

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        axes = 0 if self.flat else len(inputs[0]) - 1
        shape = (*[1] * self.batched, at(inputs[0][0]), *[1] * axes)
        return (Param("", shape, Init("constant", value=self.init)),)


class Scale(_PerChannel):
    """A learned factor per channel, initialised to `init`.

    Shape: unchanged.
    Parameters: one tensor, whose key is the node's own path: (C, 1, 1) on an image, as in torchvision; with
        `flat`, (C), as in timm; with `batched`, (1, C, 1, 1).
    MACs: 0.
    Errors: E0407 `flat` and `batched`.
    Source: Touvron et al. 2021 (LayerScale), arXiv 2103.17239.
    """

    name: ClassVar[str] = "scale"
    example: ClassVar[Example] = Example("96x56x56", "scale 1e-6")
    elsewhere: ClassVar[str] = "layerscale"


class Offset(_PerChannel):
    """A learned addend per channel, initialised to `init`.

    Shape: unchanged.
    Parameters: one tensor, whose key is the node's own path: (C, 1, 1) on an image; with `flat`, (C); with
        `batched`, (1, C, 1, 1).
    MACs: 0.
    Errors: E0407 `flat` and `batched`.
    Source: Woo et al. 2023 (global response normalisation), arXiv 2301.00808.
    """

    name: ClassVar[str] = "offset"
    example: ClassVar[Example] = Example("96x56x56", "offset batched")

    init: Number = Field(0.0, description="initial value")


class Affine(Free):
    """``x * mul + add`` with constants, one for all channels or one per channel.

    Shape: unchanged.
    Parameters: none (the constants are not stored with the weights).
    MACs: 0.
    Errors: E0404 a list of constants that has not one per channel.
    Source: torchvision's `transform_input`; Szegedy et al. 2016 (scaling of residuals), arXiv 1602.07261, 3.3.
    """

    name: ClassVar[str] = "affine"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example("3x299x299", "affine 0.5 add=-0.5")
    positional: ClassVar[tuple[str, ...]] = ("mul", "add")

    mul: Number | tuple[Number, ...] = Field(1.0, description="factor, or one per channel")
    add: Number | tuple[Number, ...] = Field(0.0, description="offset, or one per channel")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 4.0

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        for name in ("mul", "add"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != at(inputs[0][0]):
                raise OpError(
                    "E0404", f"{len(value)} constants for {at(inputs[0][0])} channels", field=name, shape=inputs[0]
                )
        return inputs[0]
