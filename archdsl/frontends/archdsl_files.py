"""Import of a file written by archdsl: the spec that the file contains, and its weights under the spec's names.

The file's passes run again on the spec, which shows how each tensor of the file was computed. A norm that was folded
into a layer comes back neutral, and the layer's weights are the product: other weights, equal outputs, and the same
file if compiled again (up to rounding, if constants of the spec were folded too).
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
from archdsl.frontends.onnx_model import Array, SourceModel
from archdsl.frontends.to_spec import ImportedSpec
from archdsl.graph import Graph
from archdsl.graph_recipes import ChannelMap, Folded
from archdsl.network import Network
from archdsl.passes.optimise import PASSES, optimise
from archdsl.spec.open import document_of, from_source

_ROUNDING = 1e-5
"""Allowed difference, relative to the largest bias, of a bias that is computed from constants alone."""


def own_spec(model: SourceModel, facts: Mapping[str, str], source: str) -> ImportedSpec:
    """Return the spec in `facts`, the metadata of a file written by archdsl, and the file's weights.

    Raises E0805 if the hash of the spec is not that in the metadata; reading the weights raises E0845 if they cannot be
    separated.
    """
    document = document_of(from_source(Source("the file's own spec", facts["spec"])))
    graph = elaborate(document)
    if Network(document, graph, {}).fingerprint != facts.get("spec_sha256", ""):
        raise error(
            "E0805",
            "the spec in this file is not the one that it was compiled from",
            help="`--flat` reads its nodes instead",
        )
    passes = [name for name in facts.get("passes", "").split() if name in PASSES]
    help = (
        "its weights are int8: import a file compiled with `--precision fp32`"
        if facts.get("precision") == "int8"
        else "`--flat` reads the nodes of the file; `compile -O0` keeps every tensor"
    )
    return ImportedSpec(formatted(document.source), graph, lambda: _weights(model, graph, passes, source, help))


def _weights(model: SourceModel, graph: Graph, passes: list[str], source: str, help: str) -> Weights:
    optimised = optimise(graph, passes)
    arrays: dict[str, Array] = {}
    for item in plan(optimised).initializers:
        array = model.constants.get(item.name)
        if (
            not isinstance(item, Constant)
            and not (isinstance(item, Derived) and item.recipe is not None)
            and array is not None
            and array.shape == item.shape
            and array.dtype.kind == "f"
        ):
            arrays[item.name if isinstance(item, Stored) else item.key] = _stored(item, array)
    folds = 0
    for node in optimised.nodes:
        if node.folded:
            folds += 1
            weight, bias = (arrays.pop(f"{node.path}/{name}", None) for name in ("weight", "bias"))
            arrays |= _unfolded(node.folded, weight, bias)
    note = f"{folds} layers contain the factors of their norms: these norms are neutral, and the outputs are equal"
    notes = (Diagnostic("N0601", note, severity="note"),) if folds else ()
    return Weights(_entries(graph, arrays, help), source, notes)


def _entries(graph: Graph, arrays: Mapping[str, Array], help: str) -> dict[str, TensorEntry]:
    """An entry for each tensor of the graph; those that no output depends on are initialised. Raises E0845 with `help`
    if another is missing."""
    from archdsl.backends.weights.initial import initial_entry

    used = {item.key if isinstance(item, Derived) else item.name for item in plan(graph).initializers}
    entries, missing = {}, []
    for key, param, _ in graph.tensors:
        array = arrays.get(key)
        if array is not None and array.size == param.numel:
            entries[key] = TensorEntry(param.shape, param.dtype, partial(np.reshape, array, param.shape))
        elif key not in used or param.init.how == "data":
            entries[key] = initial_entry(key, param, 0)
        else:
            missing.append(key)
    if missing:
        raise error(
            "E0845",
            f"{len(missing)} tensors of the spec cannot be restored from the file, such as `{missing[0]}`",
            help=help,
        )
    return entries


def _stored(item: Stored | Derived, array: Array) -> Array:
    """The spec's tensor from the form that the file stores."""
    values = array.astype(np.float32, copy=False)
    if isinstance(item, Stored):
        return values
    if item.rows is not None:
        return values.reshape(-1, *item.shape[2:])[list(item.rows)]
    return (values if item.factor == 1.0 else values / np.float32(item.factor)).reshape(item.stored)


def _unfolded(parts: Mapping[str, Folded], weight: Array | None, bias: Array | None) -> dict[str, Array]:
    """Tensors of a layer and its norms that compute the same as the folded ones; empty if there are none.

    The norms are neutral, the spec's constants are divided out, and one tensor has the rest of the bias.
    """
    recipe = parts["weight"]
    if weight is None or recipe.standardized is not None:
        return {}
    tensors: dict[str, Array] = {}
    for one in (*recipe.before, *recipe.after):
        tensors |= _neutral(one, weight, recipe)
    gains = evaluate(_constants(recipe), {recipe.weight: np.ones_like(weight)}, weight.shape)
    if not gains.all():
        return {}
    tensors[recipe.weight] = weight / gains
    if bias is None:
        return tensors
    rest = bias - evaluate(_constants(parts["bias"]), {recipe.weight: tensors[recipe.weight]}, bias.shape)
    key, gain = _bias_target(recipe)
    if key is not None:
        tensors[key] = (rest / gain).astype(np.float32)
    return tensors if key is not None or np.abs(rest).max() <= _ROUNDING * np.abs(bias).max() else {}


def _constants(recipe: Folded) -> Folded:
    """The recipe with the constants of the spec alone: its value if norms are neutral and biases 0."""
    before, after = (
        tuple(ChannelMap(mul=one.mul, add=one.add) for one in maps) for maps in (recipe.before, recipe.after)
    )
    return replace(recipe, bias=None, before=before, after=after)


def _bias_target(recipe: Folded) -> tuple[str | None, Array]:
    """The first tensor after the weights that can store the bias, and the factor that its values are multiplied by."""
    candidates = [(recipe.bias, 1.0, 0)]
    for index, one in enumerate(recipe.after):
        candidates += [(one.bias, 1.0, index + 1), (one.mean, -1.0, index)]
    key, sign, index = next((candidate for candidate in candidates if candidate[0] is not None), (None, 1.0, 0))
    gain, _ = gain_and_shift(_constants(recipe).after[index:], {}, 1)
    return key, sign * gain


def _neutral(one: ChannelMap, weight: Array, recipe: Folded) -> dict[str, Array]:
    """Values for the tensors of a map that make it an identity."""
    first, second = weight.shape[0], weight.shape[1] * recipe.groups
    channels = second if (one in recipe.before) != recipe.transposed else first
    values = {one.weight: 1.0, one.bias: 0.0, one.mean: 0.0, one.var: 1.0 - one.eps}
    return {key: np.full((channels,), value, np.float32) for key, value in values.items() if key is not None}
