"""Tensors that passes make of a network's own: recipes as data, worked out only when their numbers are written.

At inference a batch norm, a `scale` and an `affine` are each one line per channel, `gain * x + shift`. A convolution or
fully connected layer takes such lines in, those behind it and (where no padding comes between) those before it:

    weight' = gain_after * weight * gain_before
    bias'   = gain_after * (bias + sum(weight * shift_before)) + shift_after
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """Per channel ``((x - mean) / sqrt(var + eps)) * weight * mul + bias + add``; what is None is left out.

    `weight`, `bias`, `mean`, `var` are keys of the network's tensors; `mul`, `add` numbers, one or one per channel.
    `path` is that of the node which it is.
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
        """Whether 0 does not stay 0."""
        constant = any(self.add) if isinstance(self.add, tuple) else self.add != 0
        return constant or self.bias is not None or self.mean is not None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for key in (self.weight, self.bias, self.mean, self.var) if key is not None)


@dataclass(frozen=True, slots=True)
class Folded:
    """The weight or the bias of a layer that took channel maps in: those `before` it, and those `after`, in order.

    `weight` and `bias` are the layer's own tensors; a bias that is None is 0. `transposed`: the weight's first axis is
    the input's channels.
    """

    part: Literal["weight", "bias"]
    weight: str
    bias: str | None
    before: tuple[ChannelMap, ...] = ()
    after: tuple[ChannelMap, ...] = ()
    groups: int = 1
    transposed: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The network's tensors that it is made of."""
        shifted = self.part == "bias" and any(m.shifts for m in self.before)
        own = [self.weight] if self.part == "weight" else [*([self.weight] if shifted else []), *self._own_bias()]
        return tuple(dict.fromkeys([*own, *self._keys(self.before), *self._keys(self.after)]))

    def _own_bias(self) -> list[str]:
        return [] if self.bias is None else [self.bias]

    def _keys(self, maps: Iterable[ChannelMap]) -> list[str]:
        """Of the maps, what this part needs: a weight needs no shifts."""
        if self.part == "bias":
            return [key for m in maps for key in m.keys]
        return [key for m in maps for key in (m.weight, m.var) if key is not None]
