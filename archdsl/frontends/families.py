"""`archdsl.import_family`: convert several models to one spec, in which each but the first is a variant."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from archdsl.analysis.equal_nodes import same_network
from archdsl.backends.spec.recover import MAX_NODES, Recovered, recover_family
from archdsl.backends.spec.recover.family import Unalike
from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_mappings, check_type, conflict
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.overwrite_marks import has_mark
from archdsl.frontends.importing import ImportedModel, check_name, default_name, read_model
from archdsl.frontends.limits import limited
from archdsl.graph import Graph
from archdsl.network import InputSize
from archdsl.spec.models import is_factory

if TYPE_CHECKING:
    from torch import nn

    from archdsl.frontends.summary import ImportSummary

ModelSource: TypeAlias = "str | os.PathLike[str] | nn.Module"
Read: TypeAlias = "Callable[..., ImportedModel]"


@dataclass(frozen=True)
class ImportedFamily:
    """Several models as one spec.

    `text` is the spec, `graphs` are the networks that it defines, by name, the main one first. Each was compared with
    its model, and each has one of the `summaries`. `files` are those that were read.
    """

    text: str
    graphs: Mapping[str, Graph]
    summaries: tuple[ImportSummary, ...]
    files: tuple[str, ...]
    _read: Callable[[str], ImportedModel]

    def model(self, name: str) -> ImportedModel:
        """Read a model again, as a network of the spec. Nothing here keeps its weights."""
        return self._read(name)

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        *,
        force: bool = False,
    ) -> tuple[WrittenFile, ...]:
        """Write the spec to `path`, and the weights to a file for each model in the folder `weights`, which must exist.

        The file of `resnet18` is `resnet18.safetensors`; the spec is written last. Raises E0701 to E0704, E0845 if
        weights cannot be separated.
        """
        targets = {name: Path(weights) / f"{name}.safetensors" for name in self.graphs if weights is not None}
        if path is not None:
            check_target(path, inputs=self.files, force=force)
        for target in targets.values():
            check_target(target, inputs=self.files, force=force, replaceable=has_mark("weights"))
        written = [
            file for name, target in targets.items() for file in self.model(name).save(None, target, force=force)
        ]
        if path is not None:
            with atomic_write(path, inputs=self.files, force=force) as output:
                output.write(self.text.encode())
            if output.written is not None:
                written.append(output.written)
        return tuple(written)


def import_family(
    models: Sequence[ModelSource] | Mapping[str, ModelSource],
    *,
    input: InputSize | None = None,
    args: Mapping[str, object] | None = None,
    outputs: Sequence[str] = (),
) -> ImportedFamily:
    """Convert models to one spec: the first is its network, each other one a variant of it.

    `models` are those that `import_model` takes, or a mapping from the names of the networks to them. By default a
    network has the name of its file or factory. What differs becomes arguments of the spec; a variant can have nodes of
    its own. `input`, `args` and `outputs` are used for all models. One model at a time is in memory: each is read
    twice, and its outputs are compared with those of the spec.

    Raises as `import_model` does, E0003 if two networks have one name, E0849 if a network is no variant of the first.
    """
    sources = _named(models)
    read = partial(read_model, input=input, outputs=outputs)
    check_mappings(args=args)

    def load(name: str, shorten: Callable[..., Recovered | None]) -> ImportedModel:
        own = args if isinstance(sources[name], str) and is_factory(sources[name]) else None
        return read(sources[name], name=name, args=own, shorten=shorten)

    if args and not any(isinstance(source, str) and is_factory(source) for source in sources.values()):
        raise conflict("`args` are passed to factories; the models are none", "a factory is package.module:function")
    found: list[tuple[Graph, Mapping[str, str]]] = []

    def remember(graph: Graph, classes: Mapping[str, str], lines: int) -> None:
        found.append((graph, classes))

    for name in sources:
        with _naming(name):
            load(name, remember)
    family = _recovered([graph for graph, _ in found], [classes for _, classes in found])
    parts = dict(zip(sources, family, strict=True))

    def again(name: str) -> ImportedModel:
        with _naming(name):
            return load(name, partial(_same, parts[name]))

    summaries: list[ImportSummary] = []
    files: list[str] = []
    for name in sources:
        model = again(name)
        with _naming(name):
            summaries.append(model.summary)
        files += model.files
        del model
    graphs = {name: part.graph for name, part in parts.items()}
    return ImportedFamily(family[0].text, graphs, tuple(summaries), tuple(files), again)


def _named(models: Sequence[ModelSource] | Mapping[str, ModelSource]) -> dict[str, ModelSource]:
    """The models by the names of their networks. Raises E0002 for an impossible name, E0003 if two have one name."""
    check_type("models", models, "a list of models, or a mapping from names to them", list, tuple, Mapping)
    if isinstance(models, Mapping):
        for name in models:
            check_name(name)
        return _several(dict(models))
    out: dict[str, ModelSource] = {}
    for source in models:
        name = default_name(source)
        if name in out:
            twice = "the same model" if out[name] is source or out[name] == source else "another model"
            raise conflict(
                f"two networks would be named `{name}`: `{str(source)[:80]}` is {twice}",
                "leave it out" if twice == "the same model" else "rename a file; in Python, pass {name: model}",
            )
        out[name] = source
    return _several(out)


def _several(models: dict[str, ModelSource]) -> dict[str, ModelSource]:
    if len(models) < 2:
        raise error("E0002", "`models` needs at least two models", status=2, help="`import_model` converts one")
    return models


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the model in errors."""
    try:
        yield
    except ArchError as problem:
        first, *rest = problem.diagnostics
        if re.search(rf"\b{name}\b", first.message):
            raise
        raise ArchError([replace(first, message=f"`{name}`: {first.message}"), *rest], problem.status) from None


def _recovered(graphs: Sequence[Graph], classes: Sequence[Mapping[str, str]]) -> tuple[Recovered, ...]:
    """The spec of all networks. Raises E0849 for the first that is no variant."""
    if sum(len(graph.nodes) for graph in graphs) > MAX_NODES:
        raise _unalike("the networks", f"have more than {MAX_NODES:,} nodes together")
    try:
        with limited(0):
            family = recover_family(graphs, classes)
            if family:
                return family
            pairs = [(graph, [classes[0], own]) for graph, own in zip(graphs[1:], classes[1:], strict=True)]
            failed = (graph for graph, words in pairs if not recover_family([graphs[0], graph], words))
            which = f"`{next(failed, graphs[-1]).name}`"
    except Unalike as problem:
        first, other = graphs[0].name, graphs[problem.network].name
        raise _unalike(f"`{other}`", f"is no variant of `{first}`, {problem}") from None
    raise _unalike(which, f"cannot be written as a variant of `{graphs[0].name}`")


def _unalike(which: str, reason: str) -> ArchError:
    return error("E0849", f"{which} {reason}", help="import it alone, to a file of its own")


def _same(part: Recovered, graph: Graph, classes: Mapping[str, str], lines: int) -> Recovered:
    """A network of the family, for the graph that its model has now. Raises E0843 if that is another."""
    if not same_network(graph, part.graph):
        raise error("E0843", f"`{part.graph.name}` was another network when it was read again")
    return part
