"""`archdsl.sweep`: the costs of every combination of values of a spec's arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_callables, check_mappings, check_range, check_type
from archdsl.language.expressions import Value
from archdsl.library.catalog import CatalogEntry, entry_of
from archdsl.library.choice import choice
from archdsl.library.columns import SORTED, demanded
from archdsl.library.compare import Comparison, Invalid, chosen
from archdsl.network.open import size_text
from archdsl.planning.grid import LIMIT, MOST, Grid, values_of, words_of
from archdsl.planning.variants import Variants
from archdsl.progress import Progress


def sweep(
    spec: str | Path,
    args: Mapping[str, object],
    *,
    input: str | int | Sequence[object] | None = None,
    where: str | None = None,
    pareto: str | Sequence[str] = (),
    sort: str | None = None,
    reverse: bool = False,
    limit: int = LIMIT,
    progress: Progress | None = None,
) -> Comparison:
    """Count every combination of values of the arguments of a SPEC, and of input sizes.

    `args` has the values of each argument: a range, a list, one value, or a text such as `"1..18"`, `"16..128/16"`,
    `"16,32"`, `"[3,4,6,3],[2,2,2,2]"`. `input`: one size, a list of sizes, or a text `"3x224x224,3x320x320"`. `where`,
    `pareto`, `sort` and `reverse` choose as in `compare`; a condition can also name arguments. Settings that the spec
    does not allow are the result's `invalid`. `progress` is called with the number of counted settings and of all.

    Each row is equal to that of the same network in `compare`. Only the figures are kept, so the memory that a sweep
    needs does not depend on the size of the networks.

    Raises E0911 for more than `limit` settings (at most 1,000,000), E0914 for wrong values; E0212 for an argument that
    the spec does not have, E0910 if no setting is valid; the errors of the spec itself; those of `compare`.
    """
    check_type("spec", spec, "a path or a name", str, os.PathLike)
    check_mappings(args=args)
    check_range("limit", limit, 1, MOST)
    check_callables(progress=progress)
    variants = Variants(spec)
    grid = Grid(values_of(variants.document, args), input_sizes(input), limit)
    asked = choice(where, pareto, sort, reverse, SORTED, tuple(args), words_of(grid.values))
    extra = demanded(asked.figures)
    entries: list[CatalogEntry] = []
    invalid: list[Invalid] = []
    for number, (setting, size) in enumerate(grid):
        try:
            network = variants.network(setting, size)
        except ArchError as problem:
            invalid.append(Invalid(setting, size, problem.diagnostics[0]))
        else:
            entries.append(entry_of(network, size is None, extra))
        if progress is not None:
            progress(number + 1, grid.size)
    if not entries:
        raise _all_invalid(invalid)
    notes = _without_effect(variants, grid, entries)
    file = variants.document.source.path
    files = (str(file),) if file is not None else ()
    swept = tuple(name for name, values in grid.values.items() if len(values) > 1)
    swept += ("input",) if len(grid.inputs) > 1 else ()
    result = Comparison(tuple(entries), files, notes, invalid=tuple(invalid), demanded=extra, swept=swept)
    return chosen(result, asked)


def input_sizes(input: str | int | Sequence[object] | None) -> tuple[str | None, ...]:
    """Return sizes as a spec writes them: of `"1x512x512,1x1024x1024"`, of (3, 224, 224), or of a list of both."""
    if isinstance(input, str):
        return tuple(dict.fromkeys(size_text(one.strip()) for one in input.split(",")))
    if isinstance(input, Sequence) and not all(isinstance(size, int) for size in input):
        return tuple(dict.fromkeys(size_text(one) for one in input))  # type: ignore[arg-type]
    return (size_text(input),)  # type: ignore[arg-type]


def _all_invalid(invalid: Sequence[Invalid]) -> ArchError:
    """The errors of the first settings; all their settings are in the last note."""
    first = invalid[0]
    others = len({one.error.message for one in invalid}) - 1
    more = [f"{others} other errors in other settings"] if others else []
    setting = first.setting or "the spec as it is"
    which = f"none of {len(invalid):,} settings is valid" if len(invalid) > 1 else "the setting is not valid"
    message = f"{which}; {setting}: {first.error.message} ({first.error.code})"
    return error("E0910", message, help=first.error.help, notes=more)


def _without_effect(variants: Variants, grid: Grid, entries: Sequence[CatalogEntry]) -> tuple[str, ...]:
    """Notes on arguments that change no figure, or not even the network."""
    out = []
    for name, values in grid.values.items():
        groups: dict[object, list[object]] = {}
        for entry in entries:
            rest = tuple((key, repr(value)) for key, value in entry.args if key != name)
            costs = (entry.params, entry.macs, entry.depth, entry.activations, entry.peak_memory_bytes)
            groups.setdefault((entry.input, rest), []).append((*costs, entry.receptive_field, entry.extra))
        several = [figures for figures in groups.values() if len(figures) > 1]
        if several and all(figure == figures[0] for figures in several for figure in figures):
            what = "nothing: no node uses it" if _same_network(variants, name, values) else "no figure"
            out.append(f"`{name}` changes {what}")
    return tuple(out)


def _same_network(variants: Variants, name: str, values: Sequence[Value]) -> bool:
    try:
        return len({variants.network({name: value}).fingerprint for value in (values[0], values[-1])}) == 1
    except ArchError:
        return False
