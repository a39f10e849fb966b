"""How a network starts: the same numbers in every target, with or without torch."""

from __future__ import annotations

import hashlib
from functools import partial
from math import sqrt

import numpy as np

from archdsl.backends.weights.tensors import Array, TensorEntry, Weights
from archdsl.graph import Graph
from archdsl.ops.base import Param

CHUNK = 1 << 16
"""Numbers drawn at a time."""


def initial(graph: Graph, seed: int = 0) -> Weights:
    """All of `graph.tensors`, aux heads included, each drawn from a stream of its own.

    The stream is keyed by the seed and the tensor's name, so neither the order in which tensors are made nor
    a change elsewhere in the network changes them. Nothing is allocated before a tensor is asked for.
    """
    entries = {key: start(key, param, seed) for key, param, _ in graph.tensors}
    return Weights(entries, f"random, seed {seed}")


def start(key: str, param: Param, seed: int) -> TensorEntry:
    """The first numbers of one tensor."""
    return TensorEntry(param.shape, param.dtype, partial(_draw, key, param, seed))


def _draw(key: str, param: Param, seed: int) -> Array:
    init = param.init
    if init.how == "constant":
        return np.full(param.shape, init.value, param.dtype)
    if init.how == "data":
        return np.array(init.value, param.dtype).reshape(param.shape)
    stream = _stream(key, seed)
    numbers = np.empty(param.shape, np.float32)
    flat = numbers.reshape(-1)
    for start in range(0, flat.size, CHUNK):  # what is drawn is scaled before it leaves the cache
        piece = flat[start : start + CHUNK]
        if init.how == "kaiming":
            stream.standard_normal(out=piece, dtype=np.float32)
            piece *= np.float32(sqrt(2 / init.fan))
        else:
            stream.random(out=piece, dtype=np.float32)
            piece -= np.float32(0.5)
            piece *= 2 * np.float32(1 / sqrt(init.fan))
    return numbers


def _stream(key: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"archdsl tensor\0{seed}\0{key}".encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "little"))))
