"""The weights of a network, tensors by name: initialised, read from a file, matched to a graph, written.

    weights = initial(graph, seed=0)
    weights = fit(load("resnet50.pth"), graph, reinit=["fc.*"])
    save(weights, "resnet50.safetensors", {"name": "resnet50"})

An array is computed or read each time it is accessed, and not cached: a network of many gigabytes is copied tensor by
tensor.
"""

from __future__ import annotations

from archdsl.backends.weights.evaluate import folded
from archdsl.backends.weights.fit import fit
from archdsl.backends.weights.initial import initial
from archdsl.backends.weights.read import load
from archdsl.backends.weights.safetensors import save
from archdsl.backends.weights.tensors import Array, TensorEntry, Weights, as_weights

__all__ = ["Array", "TensorEntry", "Weights", "fit", "folded", "as_weights", "initial", "load", "save"]
