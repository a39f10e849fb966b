"""Evaluate the recipes of folded tensors in double precision, one tensor at a time, and round once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np

from archdsl.backends.weights.tensors import Array, TensorEntry, Weights
from archdsl.graph import Graph
from archdsl.graph_recipes import ChannelMap, Folded

CHUNK = 1 << 20
"""Values converted to double precision at a time."""


def folded(weights: Mapping[str, Array], graph: Graph) -> Weights:
    """Return the tensors of `graph`, a graph that passes changed, given the weights of the original graph.

    Each array is evaluated when it is accessed; that raises KeyError if `weights` lacks a tensor.
    """
    entries = {}
    for tensor in graph.tensors:
        recipe = tensor.recipe
        make = (
            partial(weights.__getitem__, tensor.key)
            if recipe is None
            else partial(evaluate, recipe, weights, tensor.param.shape)
        )
        entries[tensor.key] = TensorEntry(tensor.param.shape, tensor.param.dtype, make)
    notes = weights.notes if isinstance(weights, Weights) else ()
    return Weights(entries, lambda: str(getattr(weights, "source", "given")), notes)


@np.errstate(over="ignore", invalid="ignore")
def evaluate(recipe: Folded, weights: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    """Return the recipe's tensor as a float32 array of shape `shape`; accesses only the weights that it needs.

    A value that is too large for float32 becomes infinite.
    """
    if recipe.part == "weight":
        return _weight(recipe, weights).reshape(shape)
    gain, shift = gain_and_shift(recipe.after, weights, shape[0])
    bias = np.zeros(shape[0]) if recipe.bias is None else np.asarray(weights[recipe.bias], np.float64).reshape(-1)
    if any(m.shifts for m in recipe.before):
        bias = bias + _shift_through_weight(recipe, weights)
    return (gain * bias + shift).astype(np.float32)


def _weight(recipe: Folded, weights: Mapping[str, Array]) -> Array:
    stored = _filters(recipe, weights)
    second = stored.shape[1] * recipe.groups
    outputs, inputs = (second, stored.shape[0]) if recipe.transposed else (stored.shape[0], second)
    after, _ = gain_and_shift(recipe.after, weights, outputs)
    before, _ = gain_and_shift(recipe.before, weights, inputs)
    return _scaled(recipe, stored, after, before)


def _filters(recipe: Folded, weights: Mapping[str, Array]) -> Array:
    """The layer's own weight, or its standardized filters in double precision."""
    stored = np.asarray(weights[recipe.weight])
    form = recipe.standardized
    if form is None:
        return stored
    rows = stored.reshape(len(stored), -1).astype(np.float64)
    rows -= rows.mean(1, keepdims=True)
    spread = np.sqrt((rows * rows).mean(1) + form.eps)
    gains = form.factor if form.gain is None else np.asarray(weights[form.gain], np.float64).reshape(-1) * form.factor
    rows *= (gains / spread)[:, None]
    return rows.reshape(stored.shape)


def gain_and_shift(maps: Iterable[ChannelMap], weights: Mapping[str, Array], channels: int) -> tuple[Array, Array]:
    """Return the composition of all maps as `gain * x + shift`, in double precision, one value per channel."""

    def values(key: str | None, missing: float) -> Array:
        return np.full((), missing) if key is None else np.asarray(weights[key], np.float64).reshape(-1)

    gain, shift = np.ones(channels), np.zeros(channels)
    for one in maps:
        spread = np.sqrt(values(one.var, 1.0) + one.eps)
        times = values(one.weight, 1.0) / spread * np.asarray(one.mul, np.float64)
        plus = values(one.bias, 0.0) + np.asarray(one.add, np.float64) - values(one.mean, 0.0) * times
        gain, shift = gain * times, shift * times + plus
    return gain, shift


def _grouped(recipe: Folded, stored: Array) -> Array:
    """The weight as groups x first axis x second axis x taps."""
    first, second = stored.shape[0] // recipe.groups, stored.shape[1]
    return stored.reshape(recipe.groups, first, second, -1)


def _scaled(recipe: Folded, stored: Array, rows: Array, columns: Array) -> Array:
    """Each weight times the gains of its output and its input channel. Rounds once: numpy multiplies in double
    precision here, one buffer at a time."""
    grouped = _grouped(recipe, stored)
    out = np.empty(grouped.shape, np.float32)
    outputs, inputs = rows.reshape(recipe.groups, -1), columns.reshape(recipe.groups, -1)
    first, second = (inputs, outputs) if recipe.transposed else (outputs, inputs)
    if recipe.before and recipe.after:
        step = max(1, CHUNK // max(1, grouped[0, 0].size))
        for group in range(recipe.groups):
            for at in range(0, grouped.shape[1], step):
                gains = first[group, at : at + step, None] * second[group, None, :]
                np.multiply(
                    grouped[group, at : at + step],
                    gains[..., None],
                    out=out[group, at : at + step],
                    casting="same_kind",
                )
        return out
    gains = rows if not recipe.before else columns
    lengthwise = bool(recipe.before) == recipe.transposed
    shape = (recipe.groups, -1, 1, 1) if lengthwise else (recipe.groups, 1, -1, 1)
    np.multiply(grouped, gains.reshape(shape), out=out, casting="same_kind")
    return out


def _shift_through_weight(recipe: Folded, weights: Mapping[str, Array]) -> Array:
    """The amount that shifts of the input channels add to each output channel, if there is no padding."""
    stored = _filters(recipe, weights)
    grouped = _grouped(recipe, stored)
    _, shift = gain_and_shift(recipe.before, weights, stored.shape[1] * recipe.groups)
    shifts = shift.reshape(recipe.groups, -1)
    step = max(1, CHUNK // max(1, grouped[0, 0].size))
    rows = [
        np.einsum("oik,i->o", grouped[group, at : at + step].astype(np.float64), shifts[group])
        for group in range(recipe.groups)
        for at in range(0, grouped.shape[1], step)
    ]
    return np.concatenate(rows)
