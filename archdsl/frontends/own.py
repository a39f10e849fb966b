"""A file of ours read back: the spec that it carries, and its numbers under the spec's names.

The passes that the file went through are run again, which tells what each of its tensors was made of. Norms that were
folded into a layer come back neutral, and the layer with the product: another network by its numbers, the same by its
outputs, and compiled again the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from archdsl import spec as specs
from archdsl.backends.onnx.plan import plan
from archdsl.backends.onnx.records import Constant, Derived, Stored
from archdsl.backends.weights import Weights
from archdsl.backends.weights.tensors import Entry
from archdsl.diagnostics import Diagnostic, Source, error
from archdsl.elaborate import elaborate
from archdsl.folding import ChannelMap, Folded
from archdsl.frontends.onnx_model import Array, Model
from archdsl.frontends.to_spec import Imported
from archdsl.graph import Graph
from archdsl.network import Network
from archdsl.passes.optimise import PASSES, optimise
from archdsl.views.rewrite import formatted


def own_spec(model: Model, facts: Mapping[str, str], source: str) -> Imported:
    """The spec that a file of ours carries in its metadata, `facts`, and its numbers.

    Errors: E0805 a spec that is not the one the file was made of; E0845 numbers that cannot be told apart any more.
    """
    document = specs.document_of(specs.from_source(Source("the file's own spec", facts["spec"])))
    graph = elaborate(document)
    if Network(document, graph, {}).fingerprint != facts.get("spec_sha256", ""):
        raise error("E0805", "the spec in this file is not the one that it was made of", help="`--flat` reads its nodes instead")
    passes = [name for name in facts.get("passes", "").split() if name in PASSES]
    return Imported(formatted(document.source), graph, lambda: _weights(model, graph, passes, source))


def _weights(model: Model, graph: Graph, passes: list[str], source: str) -> Weights:
    small = optimise(graph, passes)
    found: dict[str, Array] = {}
    for item in plan(small).initializers:
        array = model.constants.get(item.name)
        if not isinstance(item, Constant) and array is not None and array.shape == item.shape and array.dtype.kind == "f":
            found[item.name if isinstance(item, Stored) else item.key] = _stored(item, array)
    folds = 0
    for node in small.nodes:
        if node.folded:
            folds += 1
            found |= _unfolded(node.folded["weight"], found.pop(f"{node.path}/weight", None), found.pop(f"{node.path}/bias", None))
    note = f"{folds} layers hold their norms' factors as well: these norms are neutral, and outputs the same"
    notes = (Diagnostic("N0601", note, severity="note"),) if folds else ()
    return Weights(_entries(graph, found), source, notes)


def _entries(graph: Graph, found: Mapping[str, Array]) -> dict[str, Entry]:
    """What was found for each tensor of the graph. What only training needs is started, as everywhere."""
    from archdsl.backends.weights.initial import start

    entries, missing = {}, []
    for key, param, node in graph.tensors:
        array = found.get(key)
        if array is not None and array.size == param.numel:
            entries[key] = Entry(param.shape, param.dtype, partial(np.reshape, array, param.shape))
        elif param.dtype == "int64" or node.training or param.init.how == "data":
            entries[key] = start(key, param, 0)
        else:
            missing.append(key)
    if missing:
        raise error("E0845", f"{len(missing)} tensors of the spec are not in the file as they were, such as `{missing[0]}`",
                    help="`--flat` reads the file as it stands; `compile -O0` keeps every tensor")  # fmt: skip
    return entries


def _stored(item: Stored | Derived, array: Array) -> Array:
    """The tensor of which the file holds another form."""
    numbers = array.astype(np.float32, copy=False)
    if isinstance(item, Stored):
        return numbers
    if item.rows is not None:
        return numbers.reshape(-1, *item.shape[2:])[list(item.rows)]
    return (numbers if item.factor == 1.0 else numbers / np.float32(item.factor)).reshape(item.stored)


def _unfolded(recipe: Folded, weight: Array | None, bias: Array | None) -> dict[str, Array]:
    """The layer's own tensors and its norms' such that together they say what the folded ones do; empty where the spec's
    constants stand in the way."""
    maps = (*recipe.before, *recipe.after)
    if weight is None or any(m.mul != 1.0 or m.add != 0.0 for m in maps):
        return {}
    made = {recipe.weight: weight}
    for one in maps:
        made |= _neutral(one, weight, recipe, one in recipe.before)
    if bias is None:
        return made
    home = next((m for m in recipe.after if m.bias is not None or m.mean is not None), None)
    if recipe.bias is not None:
        made[recipe.bias] = bias
    elif home is not None and home.bias is not None:
        made[home.bias] = bias
    elif home is not None and home.mean is not None:
        made[home.mean] = -bias
    else:
        return {}
    return made


def _neutral(one: ChannelMap, weight: Array, recipe: Folded, before: bool) -> dict[str, Array]:
    """Numbers with which a map changes nothing."""
    first, second = weight.shape[0], weight.shape[1] * recipe.groups
    channels = second if before != recipe.transposed else first
    values = {one.weight: 1.0, one.bias: 0.0, one.mean: 0.0, one.var: 1.0 - one.eps}
    return {key: np.full((channels,), value, np.float32) for key, value in values.items() if key is not None}
