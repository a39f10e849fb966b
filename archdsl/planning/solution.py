"""The result of `archdsl.solve`: the best setting, what it uses of each budget, and the next better one that fails."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

from archdsl.backends.spec.fields import value_layout
from archdsl.diagnostics import Source, error, escape_control, json_visible
from archdsl.diagnostics.arguments import check_choice
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.endings import check_ending
from archdsl.language.expressions import Value, show
from archdsl.language.format.yaml_writer import YamlLayout, YamlLeaf, mapping, write
from archdsl.library.catalog import CatalogEntry
from archdsl.library.columns import COLUMNS, COSTS, plain, to_json
from archdsl.library.demand import conventions
from archdsl.network import Network, of_source
from archdsl.planning.budgets import Budget, number
from archdsl.report.grid import grid
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style
from archdsl.spec.find import find_spec, library_folder
from archdsl.spec.open import Spec, may_extend

FORMATS = ("table", "json", "markdown")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the arguments, its figures (None: it is invalid), and the reasons why it fails.

    `phi` is the scaling of which the arguments and the input follow, if there is one.
    """

    args: Mapping[str, Value]
    input: str | None
    figures: CatalogEntry | None
    reasons: tuple[str, ...] = ()
    phi: float | None = None

    def __str__(self) -> str:
        more = {"phi": self.phi, "input": self.input}
        texts = {name: show(value) for name, value in (*more.items(), *self.args.items()) if value is not None}
        return ", ".join(f"{name}={text}" for name, text in texts.items())


@dataclass(frozen=True, slots=True)
class Method:
    """How the best setting was found: `exhaustive` or `monotone`, and how many of the `settings` were `counted`.

    `invalid` of them are invalid. `compared`: pairs of counted settings on which the assumption of a monotone search
    was checked. `values`: those of each argument, as text.
    """

    name: str
    settings: int
    counted: int
    invalid: int
    compared: int
    values: Mapping[str, str]

    def __str__(self) -> str:
        if self.name == "exhaustive":
            return f"exhaustive, so this is proved: all {self.settings:,} settings were counted"
        return (
            f"monotone, so this is not proved: {self.counted:,} of {self.settings:,} settings were counted. It assumes "
            "that the figures of the budgets, the maximised one, MACs and parameters never fall while arguments grow; "
            f"all {self.compared:,} pairs of counted settings of which one is not smaller agree with that"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Solution(ShownAsText):
    """The best `setting` within the budgets, and its `network`.

    `next` is the next better setting, with the reasons why it fails; None if no setting is better. `ties`: how many
    other settings within the budgets have the same maximised figure; None after a monotone search. `invalid`: the first
    invalid settings with their reasons. `spec`: what was solved.
    """

    network: Network
    setting: Setting
    maximise: str
    budgets: tuple[Budget, ...]
    next: Setting | None
    method: Method
    ties: int | None
    invalid: tuple[Setting, ...]
    spec: Spec

    @property
    def args(self) -> Mapping[str, Value]:
        """The values of the arguments, with those that were set for all settings."""
        return self.setting.args

    @property
    def figures(self) -> CatalogEntry:
        """The figures of the network."""
        assert self.setting.figures is not None
        return self.setting.figures

    def text(self, format: str = "table", style: Style = Style()) -> str:
        """Return the solution as `table`, `json` or `markdown`. Raises E0001 for another format."""
        check_choice("format", format, FORMATS)
        if format == "json":
            return json_visible(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")
        head = escape_control(f"{self.spec.name}: {self.setting}")
        titles, rows = ["figure", "value", "budget", "used"], self._rows()
        if format == "markdown":
            lines = [titles, [":--", "--:", ":--", "--:"], *rows]
            table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
            return f"**{head}**\n\n{table}\n" + "".join(f"- {label}: {text}\n" for label, text in self._facts())
        table = grid(titles, rows, {"value", "used"}, style)
        width = max((len(label) for label, _ in self._facts()), default=0) + 2
        facts = [style.paint("quiet", label.ljust(width)) + escape_control(text) for label, text in self._facts()]
        return "\n".join([style.paint("head", head), "", table, *facts]) + "\n"

    def _rows(self) -> list[list[str]]:
        """A row for each budget, for the figure that is maximised, and for the others of interest."""
        rows = []
        for name in dict.fromkeys((*(b.figure for b in self.budgets), self.maximise, *COSTS)):
            if name not in COLUMNS:
                continue
            cell = [COLUMNS[name].title, COLUMNS[name].cell(self.figures)]
            budgets = [budget for budget in self.budgets if budget.figure == name]
            for budget in budgets:
                used = 100 * number(name, self.figures) / budget.limit if budget.limit else 100
                rows.append([*cell, f"{budget.operator} {budget.text}", f"{used:.1f} %" if used < inf else ""])
            if not budgets:
                rows.append([*cell, "maximised" if name == self.maximise else "", ""])
        return rows

    @property
    def _named(self) -> tuple[str, ...]:
        return self.maximise, *(budget.figure for budget in self.budgets)

    def _facts(self) -> list[tuple[str, str]]:
        if self.method.settings == 1:
            return []
        facts = [(name, values) for name, values in self.method.values.items()] + [("method", str(self.method))]
        if self.ties:
            facts.append(
                (
                    "ties",
                    f"{self.ties:,} other settings reach the same; the fewest MACs decide, then the fewest parameters",
                )
            )
        if self.next is not None:
            facts.append(("next", f"{self.next} fails: {'; '.join(self.next.reasons)}"))
        else:
            scaled = self.setting.phi is not None
            facts.append(("next", "no larger scaling was tried: `--scale PHI`" if scaled else "no setting is better"))
        facts += conventions(self._named)
        if self.invalid:
            first = "; ".join(f"{one}: {one.reasons[0]}" for one in self.invalid)
            facts.append(("invalid", f"{self.method.invalid:,} settings, such as {first}"))
        return facts

    def to_json(self) -> dict[str, Any]:
        """The data of `archdsl solve --format json`."""
        return {
            "name": self.network.name,
            **_data(self.setting),
            "maximise": self.maximise,
            "budgets": [
                asdict(budget) | {"value": _finite(number(budget.figure, self.figures))} for budget in self.budgets
            ],
            "method": asdict(self.method),
            "ties": self.ties,
            "next": None if self.next is None else _data(self.next),
            "invalid": [_data(one) for one in self.invalid],
        }

    def to_spec(self, folder: str | os.PathLike[str] = ".") -> str:
        """Return the text of a spec in a folder that extends the solved one, with its arguments and input size.

        Raises E0207 if the solved spec was read from standard input.
        """
        path, variant = self.spec.source.path, self.spec.name
        if path is None:
            raise error("E0207", "a spec from standard input cannot be extended", help="write it to a file")
        if library_folder() in path.resolve().parents:
            base = variant
        else:
            base = os.path.relpath(path, folder).replace(os.sep, "/") + f"#{variant}" * (variant != self.spec.own)
        parts: dict[str, YamlLayout] = {"extends": YamlLeaf(base)}
        if self.setting.input is not None:
            parts["input"] = YamlLeaf(self.setting.input)
        if self.args:
            parts["args"] = mapping({name: value_layout(value) for name, value in self.args.items()}, flow=True)
        return write(mapping(parts))

    def write(self, path: str | os.PathLike[str], *, force: bool = False) -> WrittenFile:
        """Write the solution as a spec, which is first loaded: it must be the same network.

        Raises E0703 if the file exists, without `force`; E0207 if a spec in this folder cannot extend the solved one.
        """
        inputs = self.network.files
        target = check_target(path, inputs=inputs, force=force)
        text = self.to_spec(target.parent)
        loaded = of_source(Source(str(target), text, target), None, {})
        if loaded.fingerprint != self.network.fingerprint:
            raise error(
                "E0915", f"the spec that `{target}` would contain is another network; please report this", status=2
            )
        with atomic_write(path, inputs=inputs, force=force) as output:
            output.write(text.encode())
        assert output.written is not None
        return output.written


def _finite(value: float) -> float | str:
    """JSON has no infinity: a receptive field of the whole input is `all`."""
    return "all" if value == inf else value


def check_extends(spec: str, path: str | os.PathLike[str]) -> None:
    """Raise E0207 if a spec at `path` could not extend SPEC, E0001 if its name does not end in .yaml or .yml."""
    check_ending(str(path), (".yaml", ".yml"))
    location = find_spec(spec)
    if location.path == "-":
        raise error("E0207", "a spec from standard input cannot be extended", help="write it to a file", status=2)
    source, folder = Path(location.path).resolve(), Path(path).resolve().parent
    if not may_extend(folder, source):
        message = f"`{path}` could not extend `{location.path}`: a spec extends specs in its own folder and below"
        raise error("E0207", message, help=f"write it to {source.parent}", status=2)


def _data(setting: Setting) -> dict[str, Any]:
    figures = None if setting.figures is None else to_json([setting.figures])[0]
    reasons = {"reasons": list(setting.reasons)} if setting.reasons else {}
    return {
        "args": {name: plain(value) for name, value in setting.args.items()},
        "input": setting.input,
        "figures": figures,
        **reasons,
    }
