"""Devices by name: `cpu`, `cuda`, `cuda:1`, `tensorrt`, `tensorrt:1`, and `auto`: a GPU if one works."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from archdsl.diagnostics.arguments import unknown_choice

Device: TypeAlias = str
"""The name of a device."""

EXAMPLES = ("auto", "cpu", "cuda", "cuda:1", "tensorrt")
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_NAME = re.compile(r"(auto|cpu)|(cuda|tensorrt)(?::([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """A device: `kind` is `auto`, `cpu`, `cuda` or `tensorrt`; `number` is that of the GPU."""

    kind: str
    number: int = 0

    @property
    def provider(self) -> str:
        """ONNX Runtime's provider; `auto` is none."""
        return PROVIDERS[self.kind]

    @property
    def on_gpu(self) -> bool:
        return self.kind in ("cuda", "tensorrt")

    @property
    def torch(self) -> str:
        """PyTorch's name of the device."""
        return f"cuda:{self.number}" if self.on_gpu else "cpu"


def place_of(device: Device, auto: bool = True) -> Place:
    """Return the device with this name. Raises E0001 for another name, and for `auto` unless that is possible."""
    match = _NAME.fullmatch(device) if isinstance(device, str) else None
    if match is None or (match[1] == "auto" and not auto):
        meant = "cuda" if str(device).lower().startswith(("gpu", "nvidia")) else None
        raise unknown_choice("device", device, EXAMPLES[not auto :], meant)
    return Place(match[1] or match[2], int(match[3] or 0))
