"""The catalogue: every network of the library with its costs, cached between runs.

To count a network, it is elaborated. The result is cached in the user's cache folder under a key that depends on every
spec and every file of this package. Without such a folder, all networks are counted in each run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.axes import axes_of
from archdsl.files.atomic import NotRegular, open_regular
from archdsl.files.cache import cache_folder
from archdsl.language.expressions import Value
from archdsl.library.demand import DEMANDED
from archdsl.spec.find import library_files, library_networks

if TYPE_CHECKING:
    from archdsl.network import Network

_MAX_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One network of the catalogue. `analysis.count` defines its costs, for one sample in fp32."""

    name: str
    family: str
    task: str
    """What it is for, such as `segmentation`."""
    year: int | None
    input: str
    axes: tuple[int, ...]
    """The numbers of spatial axes of its inputs: 2 for images, 0 for vectors."""
    classes: int | None
    """The width of the output if it is a vector."""
    params: int
    macs: int
    depth: int
    activations: int
    peak_memory_bytes: int
    weight_bytes: int
    receptive_field: str
    """Of the last feature map, in pixels: `427`, `31 x 63`, or `all` for the whole input."""
    top1: float | None
    """Published accuracy in percent, None if the spec claims none; `top1_source` names the publication."""
    top1_source: str
    paper: str
    """`arXiv 1512.03385`, or a DOI."""
    title: str
    file: str
    args: tuple[tuple[str, Value], ...] = ()
    """The arguments that were set, with their values."""
    extra: tuple[tuple[str, float | None], ...] = ()
    """Figures of `library.demand` that were asked for, by name; None: not known."""


def catalog(progress: Callable[[int, int], None] | None = None) -> tuple[CatalogEntry, ...]:
    """Return every network of the library, file by file. Raises ArchError if one of its specs is wrong."""
    key = _key()
    entries = _read_cache(key)
    if entries is None:
        entries = _count_all(progress)
        _write_cache(key, entries)
    return entries


def _count_all(progress: Callable[[int, int], None] | None) -> tuple[CatalogEntry, ...]:
    from archdsl.network import open_network

    names = library_networks()
    out = []
    for number, name in enumerate(names):
        out.append(entry_of(open_network(name, {})))
        if progress is not None:
            progress(number + 1, len(names))
    return tuple(out)


def entry_of(net: Network, published: bool = True, extra: Sequence[str] = ()) -> CatalogEntry:
    """Return the entry of a network; `published`: whether its published accuracy applies to this input size.

    `extra` are the figures of `library.demand` to compute.
    """
    from archdsl.analysis.receptive_field import feature_field, format_field

    paper, totals, field = net.document.paper, net.totals, feature_field(net.graph)
    claim = next((c for c in net.document.claims if c.name == "top1" and published and not net.args), None)
    reference = f"arXiv {paper.arxiv}" if paper and paper.arxiv else f"doi {paper.doi}" if paper and paper.doi else ""
    return CatalogEntry(
        name=net.name,
        family=net.document.family,
        task=net.document.task or _task(net),
        year=paper.year if paper else None,
        input=net.graph.input_spec,
        axes=tuple(sorted({axes_of(net.graph.nodes[i].shape) for i in net.graph.inputs})),
        classes=net.classes,
        params=totals.params,
        macs=totals.macs,
        depth=totals.depth,
        activations=totals.activations,
        peak_memory_bytes=totals.peak_memory_bytes,
        weight_bytes=totals.weight_bytes,
        receptive_field=format_field(field),
        top1=float(claim.text.rstrip(" %")) if claim else None,
        top1_source=_place_of_claim(claim.source, reference) if claim else "",
        paper=reference,
        title=paper.title if paper else "",
        file=net.document.source.path.name if net.document.source.path is not None else net.document.source.name,
        args=_values(net),
        extra=tuple((name, DEMANDED[name](net)) for name in extra),
    )


def _values(net: Network) -> tuple[tuple[str, Value], ...]:
    """The arguments that were set, evaluated."""
    values = net.document.known_arguments(net.args)[0] if net.args else {}
    return tuple((name, values[name]) for name in net.args)


def _task(net: Network) -> str:
    """What a network is for by its first output."""
    output = net.graph.nodes[next(iter(net.graph.outputs.values()))]
    return "segmentation" if axes_of(output.shape) else "classification"


def _place_of_claim(source: str, paper: str) -> str:
    """The publication of a claim. A source such as `Table 6` is a place in the paper."""
    in_paper = not source or re.match(r"(abstract|appendix|figure|section|table)\b", source, re.IGNORECASE)
    return ", ".join(filter(None, (paper, source))) if in_paper else source


# --- cache -----------------------------------------------------------------------------------------------


def _key() -> str:
    """A hash of every spec's text, and of the size and time of every file of the package."""
    digest = hashlib.sha256()
    for path in library_files():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    package = Path(__file__).parents[1]
    for folder, folders, names in os.walk(package):
        folders.sort()
        for name in sorted(n for n in names if n.endswith(".py")):
            status = os.stat(os.path.join(folder, name))
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _read_cache(key: str) -> tuple[CatalogEntry, ...] | None:
    try:
        with open_regular(cache_folder() / "catalog.json") as file:
            data = json.loads(file.read(_MAX_BYTES))
        return tuple(_entry(row) for row in data["entries"]) if data["key"] == key else None
    except (OSError, NotRegular, RuntimeError, ValueError, TypeError, KeyError):
        return None


def _entry(row: Any) -> CatalogEntry:
    """Raises KeyError, TypeError, ValueError if the row is no CatalogEntry."""
    row = dict(row)
    row |= {name: tuple(row[name]) for name in ("axes", "args", "extra")}
    if not all(type(axes) is int for axes in row["axes"]):
        raise TypeError("axes")
    for field in fields(CatalogEntry):
        value, types = row[field.name], str(field.type).partition("[")[0].split(" | ")
        if type(value).__name__ not in types and not (value is None and "None" in types):
            raise TypeError(field.name)
    return CatalogEntry(**row)


def _write_cache(key: str, entries: tuple[CatalogEntry, ...]) -> None:
    from archdsl.diagnostics import ArchError
    from archdsl.files.atomic import atomic_write

    with suppress(OSError, RuntimeError, ArchError):
        path = cache_folder() / "catalog.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, force=True, sync=False) as file:
            file.write(json.dumps({"key": key, "entries": [asdict(e) for e in entries]}).encode())
