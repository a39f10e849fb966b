"""Compare what specs define besides the network, and compiled models contain: preprocessing and labels."""

from __future__ import annotations

import json

from archdsl.differences.compare import Fact
from archdsl.network import Network


def settings(before: Network, after: Network) -> tuple[Fact, ...]:
    """Return each field of the preprocessing that differs, then the labels if they differ."""
    was, now = _preprocessing(before), _preprocessing(after)
    keys = [key for key in dict.fromkeys((*was, *now)) if was.get(key) != now.get(key)]
    facts = [Fact(f"preprocess {key}", was.get(key), now.get(key)) for key in keys]
    if before.labels != after.labels:
        facts.append(Fact("labels", _labels(before), _labels(after)))
    return tuple(facts)


def _preprocessing(network: Network) -> dict[str, str]:
    """The fields of the recipe by name, as text."""
    if network.recipe is None:
        return {}
    return {key: str(value) for key, value in json.loads(network.recipe.to_json()).items()}


def _labels(network: Network) -> str | None:
    return f"{len(network.labels)} ({network.labels[0]} ..)" if network.labels else None
