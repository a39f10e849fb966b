"""A file of ours read back: the spec that it carries, and its numbers under the spec's names.

The passes that the file went through are run again, which tells what each of its tensors was made of. Norms that were
folded into a layer come back neutral, and the layer with the product: another network by its numbers, the same by its
outputs, and compiled again the same file (but for rounding, where the spec has constants that were folded in as well).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from archdsl.backends.onnx.plan import plan
from archdsl.backends.onnx.records import Constant, Derived, Stored
from archdsl.backends.spec.rewrite import formatted
from archdsl.backends.weights import Weights
from archdsl.backends.weights.evaluate import evaluate, gain_and_shift
from archdsl.backends.weights.tensors import TensorEntry
from archdsl.diagnostics import Diagnostic, Source, error
from archdsl.elaborate import elaborate
from archdsl.frontends.onnx_model import Array, Model
from archdsl.frontends.to_spec import Imported
from archdsl.graph import Graph
from archdsl.graph_recipes import ChannelMap, Folded
from archdsl.network import Network
from archdsl.passes.optimise import PASSES, optimise
from archdsl.spec.open import document_of, from_source

_ROUNDING = 1e-5
"""Of a bias that only constants made, how far from them it may be."""


def own_spec(model: Model, facts: Mapping[str, str], source: str) -> Imported:
    """The spec that a file of ours carries in its metadata, `facts`, and its numbers.

    Errors: E0805 a spec that is not the one the file was made of; E0845 numbers that cannot be told apart any more.
    """
    document = document_of(from_source(Source("the file's own spec", facts["spec"])))
    graph = elaborate(document)
    if Network(document, graph, {}).fingerprint != facts.get("spec_sha256", ""):
        raise error(
            "E0805", "the spec in this file is not the one that it was made of", help="`--flat` reads its nodes instead"
        )
    passes = [name for name in facts.get("passes", "").split() if name in PASSES]
    help = (
        "its numbers are int8: take them from the file in single precision that it was made like"
        if facts.get("precision") == "int8"
        else "`--flat` reads the file as it stands; `compile -O0` keeps every tensor"
    )
    return Imported(formatted(document.source), graph, lambda: _weights(model, graph, passes, source, help))


def _weights(model: Model, graph: Graph, passes: list[str], source: str, help: str) -> Weights:
    small = optimise(graph, passes)
    found: dict[str, Array] = {}
    for item in plan(small).initializers:
        array = model.constants.get(item.name)
        if (
            not isinstance(item, Constant)
            and array is not None
            and array.shape == item.shape
            and array.dtype.kind == "f"
        ):
            found[item.name if isinstance(item, Stored) else item.key] = _stored(item, array)
    folds = 0
    for node in small.nodes:
        if node.folded:
            folds += 1
            found |= _unfolded(
                node.folded, found.pop(f"{node.path}/weight", None), found.pop(f"{node.path}/bias", None)
            )
    note = f"{folds} layers hold their norms' factors as well: these norms are neutral, and outputs the same"
    notes = (Diagnostic("N0601", note, severity="note"),) if folds else ()
    return Weights(_entries(graph, found, help), source, notes)


def _entries(graph: Graph, found: Mapping[str, Array], help: str) -> dict[str, TensorEntry]:
    """What was found for each tensor of the graph. What only training needs is started, as everywhere. E0845 helps with
    `help`."""
    from archdsl.backends.weights.initial import initial_entry

    entries, missing = {}, []
    for key, param, node in graph.tensors:
        array = found.get(key)
        if array is not None and array.size == param.numel:
            entries[key] = TensorEntry(param.shape, param.dtype, partial(np.reshape, array, param.shape))
        elif param.dtype == "int64" or node.training or param.init.how == "data":
            entries[key] = initial_entry(key, param, 0)
        else:
            missing.append(key)
    if missing:
        raise error(
            "E0845",
            f"{len(missing)} tensors of the spec are not in the file as they were, such as `{missing[0]}`",
            help=help,
        )
    return entries


def _stored(item: Stored | Derived, array: Array) -> Array:
    """The tensor of which the file holds another form."""
    numbers = array.astype(np.float32, copy=False)
    if isinstance(item, Stored):
        return numbers
    if item.rows is not None:
        return numbers.reshape(-1, *item.shape[2:])[list(item.rows)]
    return (numbers if item.factor == 1.0 else numbers / np.float32(item.factor)).reshape(item.stored)


def _unfolded(parts: Mapping[str, Folded], weight: Array | None, bias: Array | None) -> dict[str, Array]:
    """The layer's own tensors and its norms' such that together they say what the folded ones do; empty where none do.
    The norms are neutral, the spec's constants divided out, and one tensor has what is left of the bias."""
    recipe = parts["weight"]
    if weight is None:
        return {}
    made: dict[str, Array] = {}
    for one in (*recipe.before, *recipe.after):
        made |= _neutral(one, weight, recipe)
    gains = evaluate(_constants(recipe), {recipe.weight: np.ones_like(weight)}, weight.shape)
    if not gains.all():
        return {}
    made[recipe.weight] = weight / gains
    if bias is None:
        return made
    rest = bias - evaluate(_constants(parts["bias"]), {recipe.weight: made[recipe.weight]}, bias.shape)
    key, gain = _home(recipe)
    if key is not None:
        made[key] = (rest / gain).astype(np.float32)
    return made if key is not None or np.abs(rest).max() <= _ROUNDING * np.abs(bias).max() else {}


def _constants(recipe: Folded) -> Folded:
    """The recipe with the spec's own numbers alone, as it is where norms are neutral and biases 0."""
    before, after = (
        tuple(ChannelMap(mul=one.mul, add=one.add) for one in maps) for maps in (recipe.before, recipe.after)
    )
    return replace(recipe, bias=None, before=before, after=after)


def _home(recipe: Folded) -> tuple[str | None, Array]:
    """The tensor behind the weights that takes the bias, and what its numbers are multiplied by from there."""
    places = [(recipe.bias, 1.0, 0)]
    for at, one in enumerate(recipe.after):
        places += [(one.bias, 1.0, at + 1), (one.mean, -1.0, at)]
    key, sign, at = next((place for place in places if place[0] is not None), (None, 1.0, 0))
    gain, _ = gain_and_shift(_constants(recipe).after[at:], {}, 1)
    return key, sign * gain


def _neutral(one: ChannelMap, weight: Array, recipe: Folded) -> dict[str, Array]:
    """Numbers with which a map's own tensors change nothing."""
    first, second = weight.shape[0], weight.shape[1] * recipe.groups
    channels = second if (one in recipe.before) != recipe.transposed else first
    values = {one.weight: 1.0, one.bias: 0.0, one.mean: 0.0, one.var: 1.0 - one.eps}
    return {key: np.full((channels,), value, np.float32) for key, value in values.items() if key is not None}
