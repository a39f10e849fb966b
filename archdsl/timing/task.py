"""The task of one contestant, as data that can be sent to its process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """One contestant, the network that it runs, and the shapes of its inputs.

    `contestant` is a name of `contestants.CONTESTANTS`; `model` is the ONNX file, `spec` and `weights` the files from
    which PyTorch builds its module (empty for a compiled model); `shapes` are those of the inputs, batch first;
    `threads` is the number of CPU threads; `half` selects float16 if the contestant supports it; `seed` is that of the
    random inputs; `network` is the name in reports.
    """

    contestant: str
    model: str
    spec: str
    weights: str
    shapes: Mapping[str, tuple[int, ...]]
    device: str = "cpu"
    threads: int = 1
    half: bool = False
    seed: int = 0
    network: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Task:
        shapes = {name: tuple(shape) for name, shape in data["shapes"].items()}
        return cls(**{**data, "shapes": shapes})

    @property
    def batch(self) -> int:
        return next(iter(self.shapes.values()))[0]
