"""`docs/library.md`: every family of the library, what it costs, and what its papers claim beside what is true."""

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

Every network that archdsl knows by name, family by family, the oldest first. `archdsl list` prints the same figures and
filters them, `archdsl compare` sets some side by side, `archdsl check NAME` tells where a claim comes from and why one
differs. [The gallery](gallery.md) draws every file in each style. `tools/docs.py` makes this page from the specs.

Params and MACs are counted as [decision 5](decisions/05-counting.md) says: one image at inference, auxiliary heads apart.
Under *published* stands what the paper or the release claims: the bare figure where it is the very one or rounds to it, **bold**
with the true one, and why, where it is not. Accuracies are carried as published; nothing here measures them.

"""


def library_page() -> str:
    """The page. Nothing in it depends on the machine."""
    families: dict[str, list[CatalogEntry]] = {}
    for entry in catalog():
        families.setdefault(entry.family, []).append(entry)
    ordered = sorted(families, key=lambda f: (min(e.year or 9999 for e in families[f]), f))
    verdicts = archdsl.check(*library_files()).verdicts
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
        "|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for e in sorted(entries, key=lambda e: e.year or 0):
        claims = ", ".join(_claim(v) for v in verdicts.get(e.name, ()) if v.claim.name not in UNCHECKED)
        top = f"{e.top1}, {e.top1_source}" if e.top1 is not None else ""
        lines.append(
            f"| {e.name} | {e.year or ''} | {e.input} | {e.params:,} | {e.macs:,} | {e.depth} | {claims} | {top} |"
        )
    return "\n".join(lines) + "\n"


def _paper(file: str) -> str:
    """The spec, and the paper that it is of."""
    paper = read_spec(library_folder() / file).paper
    link = f"[{file}](../specs/{file})"
    if paper is None:
        return link
    where = f"[arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else ""
    where = where or (f"[doi {paper.doi}](https://doi.org/{paper.doi})" if paper.doi else "")
    return ", ".join(part for part in (f"{link}: {escape(paper.title)}", str(paper.year or ""), where) if part)


def _claim(verdict: Verdict) -> str:
    claim = f"{verdict.claim.name.replace('_', ' ')} {verdict.claim.text}"
    if verdict.holds or verdict.true is None:
        return claim
    why = verdict.claim.note or verdict.reason
    return f"**{claim}**, truly {verdict.true:,}{f' ({escape(why)})' if why else ''}".replace("|", "\\|")
