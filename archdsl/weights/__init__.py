"""Work on weights files: inspect, convert and match them, and compute those of a deployed form.

inspect("last.pth").text()
convert("last.pth", "last.safetensors", part="model_ema")
match("timm.safetensors", "regnet_y_400mf", output="map.txt")
reparameterise("repvgg_a0.pth", "repvgg_a0", "deployed.safetensors")
"""

from __future__ import annotations

from archdsl.weights.convert import convert
from archdsl.weights.deploy import Reparameterised, reparameterise
from archdsl.weights.inspection import Inspection, inspect
from archdsl.weights.pairs import WeightsMatch, match

__all__ = ["Inspection", "Reparameterised", "WeightsMatch", "convert", "inspect", "match", "reparameterise"]
