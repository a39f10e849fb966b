"""What one contestant is asked to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """One way of running one network on inputs of one size.

    `kind` names the way (`contestants.TABLE`); `model` is the ONNX file, `spec` and `weights` the files that the
    ways of PyTorch are made of (empty where there is only a model); `shapes` are those of the inputs, batch first;
    `threads` are the processor's; `half` asks for float16 where the way can.
    """

    kind: str
    model: str
    spec: str
    weights: str
    shapes: Mapping[str, tuple[int, ...]]
    device: str = "cpu"
    threads: int = 1
    half: bool = False
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Job:
        shapes = {name: tuple(shape) for name, shape in facts["shapes"].items()}
        return cls(**{**facts, "shapes": shapes})

    @property
    def batch(self) -> int:
        return next(iter(self.shapes.values()))[0]
