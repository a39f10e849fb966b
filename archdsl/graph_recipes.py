"""Tensors that passes compute from a network's own: recipes as data, evaluated only when the tensors are written.

At inference a batch norm, a `scale` and an `affine` each compute `gain * x + shift` per channel. They are folded into a
convolution or fully connected layer before them, or (if there is no padding between) after them:

    weight' = gain_after * weight * gain_before
    bias'   = gain_after * (bias + sum(weight * shift_before)) + shift_after

The weight itself may be one that is standardized when the network runs (`Standardized`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """The map ``((x - mean) / sqrt(var + eps)) * weight * mul + bias + add`` per channel, without terms that are None.

    `weight`, `bias`, `mean`, `var` are keys of the network's tensors; `mul` and `add` are one constant, or one per
    channel. `path` is the path of the node that computes it.
    """

    weight: str | None = None
    bias: str | None = None
    mean: str | None = None
    var: str | None = None
    eps: float = 0.0
    mul: float | tuple[float, ...] = 1.0
    add: float | tuple[float, ...] = 0.0
    path: str = ""

    @property
    def shifts(self) -> bool:
        """Whether the map of 0 is not 0."""
        constant = any(self.add) if isinstance(self.add, tuple) else self.add != 0
        return constant or self.bias is not None or self.mean is not None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for key in (self.weight, self.bias, self.mean, self.var) if key is not None)


@dataclass(frozen=True, slots=True)
class Standardized:
    """The map ``(w - mean) / sqrt(var + eps) * factor * gain`` of each filter, with the variance over all its values.

    `gain` is the key of a tensor with a value for each filter; None: 1.
    """

    eps: float
    factor: float = 1.0
    gain: str | None = None


@dataclass(frozen=True, slots=True)
class Folded:
    """The weight or bias of a layer with channel maps folded in: those `before` and `after` it, in order.

    `weight` and `bias` are the keys of the layer's own tensors; a bias that is None is 0. `transposed`: the first axis
    of the weight is the input channels. `standardized`: how its filters are computed from the weight; None: as it is.
    """

    part: Literal["weight", "bias"]
    weight: str
    bias: str | None
    before: tuple[ChannelMap, ...] = ()
    after: tuple[ChannelMap, ...] = ()
    groups: int = 1
    transposed: bool = False
    standardized: Standardized | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the network's tensors that it is computed from."""
        shifted = self.part == "bias" and any(m.shifts for m in self.before)
        gain = [] if self.standardized is None or self.standardized.gain is None else [self.standardized.gain]
        own = [self.weight, *gain] if self.part == "weight" or shifted else []
        own += self._own_bias() if self.part == "bias" else []
        return tuple(dict.fromkeys([*own, *self._keys(self.before), *self._keys(self.after)]))

    def _own_bias(self) -> list[str]:
        return [] if self.bias is None else [self.bias]

    def _keys(self, maps: Iterable[ChannelMap]) -> list[str]:
        """The tensors of the maps that this part needs: a weight needs no shifts."""
        if self.part == "bias":
            return [key for m in maps for key in m.keys]
        return [key for m in maps for key in (m.weight, m.var) if key is not None]
