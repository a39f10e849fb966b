"""Generates `docs/library.md`: every family of the library with its costs and the figures that its papers claim."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import archdsl
from archdsl.library.catalog import CatalogEntry, catalog
from archdsl.library.claims import UNCHECKED, Verdict
from archdsl.spec.find import library_files, library_folder
from archdsl.spec.open import read_spec

HEAD = """\
# The library

<!-- `tools/docs.py` generates this page from the specs. -->

All networks of the library by family, oldest first; families without a paper, which are examples, come last.
`archdsl list` prints and filters the same figures,
`archdsl compare` compares networks, `archdsl check --why NAME` prints the reason if a claim differs.
[The gallery](gallery.md) has drawings of every file.

[Decision 5](decisions/05-counting.md) defines params and MACs: one sample at inference, auxiliary heads separate. The
column *published* has the figures of the paper or the release. A figure in **bold** differs; the computed value and the
reason are below the table, as are the sources of the accuracies. Accuracies are the
published ones; archdsl does not measure them.

An input of 12 x 5000 is a signal, 3 x 224 x 224 an image, 1 x 64 x 64 x 64 a volume. The networks named after MONAI and
`unet3d` take all three: `archdsl params densenet121_monai --input 1x4096`. With `axes: 3`
[most others](language.md#signals-and-volumes-from-a-network-for-images)
are networks for volumes, with `axes: 1` for signals.

"""


def library_page() -> str:
    """Return the page, the same on every machine."""
    families: dict[str, list[CatalogEntry]] = {}
    for entry in catalog():
        families.setdefault(entry.family, []).append(entry)
    ordered = sorted(families, key=lambda f: (min(e.year or 9999 for e in families[f]), f))
    verdicts = archdsl.check(*library_files(), why=True).verdicts
    links = " · ".join(f"[{family}](#{family})" for family in ordered)
    return HEAD + links + "\n\n" + "\n".join(_family(name, families[name], verdicts) for name in ordered)


def _family(name: str, entries: list[CatalogEntry], verdicts: Mapping[str, tuple[Verdict, ...]]) -> str:
    files = list(dict.fromkeys(e.file for e in entries))
    first = min(entries, key=lambda e: (e.year or 0, files.index(e.file)))
    shown = first.file.removesuffix(".yaml")
    style = "article" if name in ("perceptron", "edge_filter") else "volumes"
    lines = [f"## {name}", ""]
    lines += [
        f"* {_paper(file)}" for file in sorted(files, key=lambda f: min(e.year or 0 for e in entries if e.file == f))
    ]
    lines += [
        "",
        f'<img width="420" alt="{escape(shown)}, drawn by archdsl diagram" src="gallery/{shown}-{style}.svg">',
        "",
    ]
    lines += [
        "| network | year | input | params | MACs | depth | published | top-1 % |",
        "|---|--:|--:|--:|--:|--:|---|--:|",
    ]
    remarks: list[str] = []
    sources: dict[str, list[str]] = {}
    for e in sorted(entries, key=lambda e: e.year or 0):
        claims = [v for v in verdicts.get(e.name, ()) if v.claim.name not in UNCHECKED]
        published = ", ".join(map(_claim, claims))
        lines.append(
            f"| {e.name} | {e.year or ''} | {e.input} | {e.params:,} | {e.macs:,} | {e.depth} | {published} | "
            f"{e.top1 or ''} |"
        )
        remarks += [f"* {e.name}: {_claim(v)}, computed {v.true:,}{_reason(v)}" for v in claims if _differs(v)]
        if e.top1 is not None:
            sources.setdefault(e.top1_source or "", []).append(e.name)
    remarks += [f"* top-1 by {source}: {', '.join(names)}" for source, names in sources.items()]
    return "\n".join([*lines, *[""] * bool(remarks), *remarks]) + "\n"


def _paper(file: str) -> str:
    """The link to a spec, and its paper."""
    paper = read_spec(library_folder() / file).paper
    link = f"[{file}](../specs/{file})"
    if paper is None:
        return f"{link}: an example"
    where = f"[arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else ""
    where = where or (f"[doi {paper.doi}](https://doi.org/{paper.doi})" if paper.doi else "")
    return ", ".join(part for part in (f"{link}: {escape(paper.title)}", str(paper.year or ""), where) if part)


def _claim(verdict: Verdict) -> str:
    claim = f"{verdict.claim.name.replace('_', ' ')} {verdict.claim.text}"
    return f"**{claim}**" if _differs(verdict) else claim


def _differs(verdict: Verdict) -> bool:
    return not verdict.holds and verdict.true is not None


def _reason(verdict: Verdict) -> str:
    why = verdict.claim.note or verdict.reason
    return f": {escape(why)}" if why else ""
