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
        facts.append(_labels(before, after))
    return tuple(facts)


def _preprocessing(network: Network) -> dict[str, str]:
    """The fields of the recipe that are set, by name, as text."""
    if network.recipe is None:
        return {}
    fields = json.loads(network.recipe.to_json())
    return {key: str(value) for key, value in fields.items() if value is not None}


def _labels(before: Network, after: Network) -> Fact:
    """Two lists of labels that differ: their lengths, or the first label that differs."""
    was, now = before.labels or (), after.labels or ()
    if len(was) != len(now):
        return Fact("labels", *(f"{len(labels)} ({labels[0]} ..)" if labels else None for labels in (was, now)))
    changed = [number for number, (old, new) in enumerate(zip(was, now, strict=True)) if old != new]
    first, more = changed[0], len(changed) - 1
    further = f" and {more:,} more" if more else ""
    return Fact("labels", f"class {first}: {was[first]}{further}", f"class {first}: {now[first]}{further}")
