"""`archdsl.weights.match`: rules that rename the tensors of a file to those of a network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archdsl.backends.weights import load
from archdsl.backends.weights.match import Matching, match_names
from archdsl.backends.weights.rules import write_rules
from archdsl.diagnostics import Diagnostic, escape_control
from archdsl.diagnostics.arguments import check_flags, check_mappings, check_paths, check_type
from archdsl.files.atomic import WrittenFile
from archdsl.network import Network, as_network
from archdsl.packages import require_package

SHOWN = 10


@dataclass(frozen=True)
class WeightsMatch:
    """Pairs of the names of a file and of a network; `file` has them as rules, if it was written."""

    network: str
    matching: Matching
    file: WrittenFile | None

    @property
    def rules(self) -> list[str]:
        """Rules for `rename` of `Network.weights`, and for `--rename`."""
        return self.matching.rules

    @property
    def complete(self) -> bool:
        """Whether every tensor of the network has a partner."""
        return self.matching.complete

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """N0609: what the pairing relied on. W0609: what is not paired."""
        found = self.matching
        notes = []
        if found.relied:
            order = "their names, which are sorted: check the outputs" if found.sorted_names else "the file's order"
            message = f"matched by order: equal shapes, in {order}"
            notes.append(Diagnostic("N0609", message, severity="note", notes=(_listed(found.relied),)))
        for names, what, help_ in (
            (found.unsure, "modules differ in number, and were paired by their neighbours", ""),
            (found.missing, "tensors of the network have no partner", "`--reinit` initialises them"),
            (found.unused, "tensors of the file have no partner", "`--ignore` leaves them out"),
        ):
            if names:
                message = f"{len(names):,} {what}"
                notes.append(Diagnostic("W0609", message, severity="warning", notes=(_listed(names),), help=help_))
        return tuple(notes)

    def to_json(self) -> dict[str, Any]:
        """Return the match as plain data."""
        return {"network": self.network, "complete": self.complete, **asdict(self.matching), "rules": self.rules}

    def text(self) -> str:
        """Return the numbers of pairs, and the rules unless a file has them."""
        found = self.matching
        count = f"{len(found.equal):,} tensors have the same names; {len(found.pairs):,} rules rename the others\n"
        rules = "" if self.file is not None else "".join(f"{escape_control(rule)}\n" for rule in self.rules)
        return count + rules


def match(
    file: str | os.PathLike[str],
    spec: str | os.PathLike[str] | Network,
    *,
    part: str | None = None,
    output: str | os.PathLike[str] | None = None,
    args: Mapping[str, object] | None = None,
    input: str | None = None,
    force: bool = False,
) -> WeightsMatch:
    """Pair the tensors of a weights file with those of a network by their order, op and shapes.

    Equal names are pairs; modules of equal shapes are paired in their order, which the result lists. Only equal outputs
    prove it. `output` is a file for the rules, which `--rename @FILE` reads; `part` the place of the tensors; `args`
    and `input` as for `load`.

    Raises E0601 to E0608 for the file, E07xx for `output`, and as `load` does.
    """
    check_type("file", file, "a path", str, os.PathLike)
    check_type("part", part, "a name", str, type(None))
    check_paths(output=output)
    check_mappings(args=args)
    check_flags(force=force)
    require_package("numpy")
    network = as_network(spec, args, input)
    found = match_names(load(file), network.whole, part)
    written = None
    if output is not None:
        comments = [f"{network.name}: {len(found.rules)} rules", *(f"by order: {group}" for group in found.relied)]
        comments += [f"no partner: {name}" for name in (*found.missing, *found.unused)]
        written = write_rules(Path(output), found.rules, comments, force, inputs=(file, *network.files))
    return WeightsMatch(network.name, found, written)


def _listed(names: Iterable[str]) -> str:
    rows = list(names)
    more = [f"... and {len(rows) - SHOWN:,} more"] if len(rows) > SHOWN else []
    return "\n".join([row[:150] for row in rows[:SHOWN]] + more)
