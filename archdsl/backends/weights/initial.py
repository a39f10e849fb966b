"""How a network starts: the same numbers in every target, with or without torch."""

from __future__ import annotations

import hashlib
from functools import partial
from math import sqrt

import numpy as np

from archdsl.backends.weights.tensors import Array, Entry, Weights
from archdsl.graph import Graph
from archdsl.ops.base import Param


def initial(graph: Graph, seed: int = 0) -> Weights:
    """All of `graph.tensors`, aux heads included, each drawn from a stream of its own.

    The stream is keyed by the seed and the tensor's name, so neither the order in which tensors are made nor
    a change elsewhere in the network changes them. Nothing is allocated before a tensor is asked for.
    """
    entries = {key: start(key, param, seed) for key, param, _ in graph.tensors}
    return Weights(entries, f"random, seed {seed}")


def start(key: str, param: Param, seed: int) -> Entry:
    """The first numbers of one tensor."""
    return Entry(param.shape, param.dtype, partial(_draw, key, param, seed))


def _draw(key: str, param: Param, seed: int) -> Array:
    init = param.init
    if init.how == "constant":
        return np.full(param.shape, init.value, param.dtype)
    if init.how == "data":
        return np.array(init.value, param.dtype).reshape(param.shape)
    stream = _stream(key, seed)
    if init.how == "kaiming":
        numbers = stream.standard_normal(param.shape, dtype=np.float32)
        numbers *= np.float32(sqrt(2 / init.fan))
        return numbers
    numbers = stream.random(param.shape, dtype=np.float32)
    bound = np.float32(1 / sqrt(init.fan))
    numbers -= np.float32(0.5)
    numbers *= 2 * bound
    return numbers


def _stream(key: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"archdsl tensor\0{seed}\0{key}".encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "little"))))
