"""Makes a failing spec small: drops and simplifies parts of its data as long as it stays sound and fails alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.search.networks.kinds import Unsound
from tests.search.networks.make import inputs_of
from tests.search.networks.reference import HEADS, Machine, blank

BODIES = ("do", "residual", "dense", "then", "shortcut")
KEPT = ("name", "input", "net")


def sound(doc: Mapping[str, Any]) -> bool:
    """Whether the reference runs it, its variants included."""
    try:
        for variant in ({}, *doc.get("variants", {}).values()):
            Machine(doc, variant=variant).run({name: blank(shape) for name, shape in inputs_of(doc).items()})
    except (Unsound, KeyError, IndexError, TypeError, ValueError, AssertionError, RuntimeError, AttributeError):
        return False
    return True


def shrink(doc: dict[str, Any], fails: Callable[[Mapping[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
    """The smallest spec found within the time for which `fails` still holds."""
    end = time.monotonic() + seconds
    progress = True
    while progress and time.monotonic() < end:
        progress = False
        for smaller in simpler(doc, top=True):
            if time.monotonic() > end:
                break
            if sound(smaller) and fails(smaller):
                doc, progress = smaller, True
                break
    return doc


def simpler(data: Any, top: bool = False) -> Iterator[Any]:
    """The same data with one thing less, the largest cuts first."""
    if isinstance(data, dict):
        yield from _simpler_mapping(data, top)
    elif isinstance(data, list):
        for n in range(len(data)):
            if len(data) > 1:
                yield data[:n] + data[n + 1 :]
        for n, item in enumerate(data):
            for smaller in simpler(item):
                yield [*data[:n], smaller, *data[n + 1 :]]
    elif isinstance(data, str) and not data.isidentifier() and "x" not in data:
        yield from (1, 2, 3)
    elif isinstance(data, int) and not isinstance(data, bool) and data > 1:
        yield from sorted({1, 2, data // 2, data - 1} - {data})


def _simpler_mapping(data: dict[str, Any], top: bool) -> Iterator[Any]:
    node = any(head in data for head in HEADS)
    if node and not top:
        for body in BODIES:
            if isinstance(data.get(body), (dict, list)):
                yield data[body]
        for head in ("inception", "branches"):
            if head in data:
                yield from data[head].values() if isinstance(data[head], dict) else data[head]
    for key in data:
        if not (top and key in KEPT) and key != "op":
            rest = {k: v for k, v in data.items() if k != key}
            if rest:
                yield rest
    for key, value in data.items():
        if key in ("name", "op", "as", "from", "like", "call"):
            continue
        if top and key == "input":
            yield from ({**data, key: smaller} for smaller in _smaller_inputs(value))
            continue
        for smaller in simpler(value):
            yield {**data, key: smaller}


def _smaller_inputs(written: Any) -> Iterator[Any]:
    if isinstance(written, str):
        sizes = [int(size) for size in written.split("x")]
        for n, size in enumerate(sizes):
            for smaller in sorted({1, 2, 4, size // 2, size - 1}):
                if 0 < smaller < size:
                    yield "x".join(map(str, [*sizes[:n], smaller, *sizes[n + 1 :]]))
    elif isinstance(written, list):
        yield "x".join(str(size).split("=")[-1] for size in written)
