"""Initial weights: the same values for every target, with or without torch."""

from __future__ import annotations

import hashlib
from functools import partial
from math import sqrt

import numpy as np

from archdsl.backends.weights.tensors import Array, TensorEntry, Weights
from archdsl.graph import Graph
from archdsl.ops.base import Param

CHUNK = 1 << 16
"""Values drawn at a time."""


def initial(graph: Graph, seed: int = 0) -> Weights:
    """Return initial values for all of `graph.tensors`, auxiliary heads included, each from its own random stream.

    The stream is keyed by the seed and the tensor's name, so the values do not depend on the order of evaluation or on
    other parts of the network. Nothing is allocated before an array is accessed.
    """
    entries = {key: initial_entry(key, param, seed) for key, param, _ in graph.tensors}
    return Weights(entries, f"random, seed {seed}")


def initial_entry(key: str, param: Param, seed: int) -> TensorEntry:
    """Return the initial values of one tensor."""
    return TensorEntry(param.shape, param.dtype, partial(_draw, key, param, seed))


def _draw(key: str, param: Param, seed: int) -> Array:
    init = param.init
    if init.how == "constant":
        return np.full(param.shape, init.value, param.dtype)
    if init.how == "data":
        return np.array(init.value, param.dtype).reshape(param.shape)
    stream = _stream(key, seed)
    values = np.empty(param.shape, np.float32)
    flat = values.reshape(-1)
    for start in range(0, flat.size, CHUNK):  # scale each chunk while it is still in the cache
        chunk = flat[start : start + CHUNK]
        if init.how == "kaiming":
            stream.standard_normal(out=chunk, dtype=np.float32)
            chunk *= np.float32(sqrt(2 / init.fan))
        else:
            stream.random(out=chunk, dtype=np.float32)
            chunk -= np.float32(0.5)
            chunk *= 2 * np.float32(1 / sqrt(init.fan))
    return values


def _stream(key: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"archdsl tensor\0{seed}\0{key}".encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "little"))))
