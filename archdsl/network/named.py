"""Weights by name for a network: their file, and what a compiled file states of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from archdsl.backends.weights import Weights
    from archdsl.pretrained import Release
    from archdsl.runtime.recipe import Recipe


class NamedWeights(NamedTuple):
    """The file of weights with a name, and what comes with them for one network."""

    name: str
    path: Path
    facts: dict[str, str]
    """Metadata of compiled files: licence, address, preprocessing and labels."""
    notes: tuple[Diagnostic, ...]

    def around(self, values: Weights) -> Weights:
        """Return the tensors that were read from the file, with what comes with them."""
        from archdsl.backends.weights import Weights

        return Weights(
            values.entries, lambda: self.stated(values.source), lambda: (*self.notes, *values.notes), self.facts
        )

    def stated(self, source: str) -> str:
        """The source of the tensors, with the name; that of random ones still begins with `random`."""
        return f"{source}, from {self.name}" if source.startswith("random") else f"{self.name}, {source}"


def named_weights(network: Any, name: str) -> NamedWeights:
    """Return the weights with a name. A note reports their licence and address, and one all that they replace.

    Raises E0621 to E0623 and E0807.
    """
    from archdsl.pretrained import release

    found = release(name, network.name)
    facts = {"weights_url": found.url, "weights_licence": found.about.licence}
    notes = [_note(f"weights {found.name}, licence: {found.about.licence}; from {found.url}")]
    recipe, note = _recipe(network, found)
    if recipe is not None:
        facts["preprocess"] = recipe.to_json()
    labels = found.about.labels
    if labels and len(labels) == network.classes and labels != network.labels:
        facts["labels"] = json.dumps(labels, ensure_ascii=False)
        note += f"{'; ' if note else ''}{len(labels):,} labels, the first is `{labels[0]}`"
    if note:
        notes.append(_note(f"with the weights come {note}"))
    return NamedWeights(found.name, found.path, facts, tuple(notes))


def _recipe(network: Any, found: Release) -> tuple[Recipe | None, str]:
    """The preprocessing of the weights for the input of the network, and what it replaces, as text."""
    from archdsl.runtime.recipe import Unfit, settle

    own: Recipe | None = network.recipe
    if own is None or found.about.preprocess is None:
        return None, ""
    try:
        grey = network.input[0] == 1 and found.about.preprocess.crop is not None
        recipe = settle(found.about.preprocess, grey, network.input, False)
    except Unfit as problem:
        return None, f"a preprocessing that is not used, as {problem}"
    pairs = ((key, old, getattr(recipe, key)) for key, old in asdict(own).items())
    return recipe, ", ".join(f"{key} {_shown(new)} instead of {_shown(old)}" for key, old, new in pairs if new != old)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"({', '.join(map(_shown, value))})" if isinstance(value, tuple) else str(value)


def _note(message: str) -> Diagnostic:
    return Diagnostic("N0620", message, severity="note")
