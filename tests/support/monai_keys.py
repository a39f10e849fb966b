"""The keys of networks of MONAI that cannot have the same names here."""

from __future__ import annotations

import re
from collections.abc import Sequence


def efficientnet_keys(keys: Sequence[str]) -> dict[str, str]:
    """MONAI's key of each of ours: modules start with `_`, which no name can here, and stages count on the blocks."""
    blocks = [*dict.fromkeys(match[0] for key in keys if (match := re.match(r"blocks\.\d+\.\d+", key)))]
    renamed = {}
    for key in keys:
        *path, tensor = re.sub(r"blocks\.(\d+)\.\d+", lambda m: f"blocks.{m[1]}.{blocks.index(m[0])}", key).split(".")
        renamed[key] = ".".join([part if part.isdigit() else f"_{part}" for part in path] + [tensor])
    return renamed
