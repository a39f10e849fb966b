"""The result of `bench`, as data, as a table and as Markdown."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.machine import to_json
from archdsl.report.grid import grid, markdown_grid
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style
from archdsl.timing.contestants import OURS
from archdsl.timing.profile import NodeTime, Profile
from archdsl.timing.turns import ROUNDS, Timing

_TIMING_TITLES = ("network", "device", "batch", "contestant", "p50 ms", "p95 ms", "spread", "samples/s", "memory MB")
_RATIO_TITLES = ("time / ours", "from .. to", "difference")
_TIMING_WORDS = ("network", "device", "contestant")
_NODE_TITLES = ("node", "op", "ms", "share", "MACs", "GMAC/s", "of GEMM", "of roof")
_NODE_WORDS = ("node", "op")
"""Columns of text, aligned left; the others contain numbers."""


@dataclass(frozen=True, slots=True, repr=False)
class BenchResult(ShownAsText):
    """The timings of all networks, or their profiles; `threads` is the number of CPU threads.

    `timings` and `profiles` are in the order of the sources, devices and batches; the first timing of each is that of
    archdsl's own file. `failures` are contestants that could not run (E0810), `notes` are about the weights.
    """

    threads: int
    timings: tuple[Timing, ...]
    profiles: tuple[Profile, ...]
    failures: tuple[Diagnostic, ...]
    notes: tuple[Diagnostic, ...]

    def data(self) -> dict[str, object]:
        """Return JSON data; `ms` are milliseconds, `macs_s` and `bytes_s` the machine's rates per second."""
        return {
            "threads": self.threads,
            "timings": [asdict(timing) for timing in self.timings],
            "profiles": [_profile_data(one) for one in self.profiles],
            "failures": to_json(self.failures),
            "notes": to_json(self.notes),
        }

    def text(self, style: Style, top: int = 20) -> str:
        """Return the timings as one table, or each profile as a table of its `top` slowest nodes."""
        if self.profiles:
            return "\n".join(_profile_text(one, top, style) for one in self.profiles)
        titles, rows = self._table()
        versions = dict.fromkeys(timing.version for timing in self.timings)
        runs, warm = min(t.runs for t in self.timings), min(t.warm_runs for t in self.timings)
        return (
            f"{grid(titles, rows, {*titles} - {*_TIMING_WORDS}, style)}\n"
            f"{self.threads} thread{'s' if self.threads > 1 else ''}; {'; '.join(versions)}\n"
            f"at least {runs} runs in {ROUNDS} turns after {warm} warm-up runs; "
            "spread: range of 90 % of the runs, by p50; memory: peak of the process\n"
        )

    def markdown(self, top: int = 20) -> str:
        """Return the same tables in Markdown."""
        if self.profiles:
            return "\n".join(_profile_markdown(one, top) for one in self.profiles)
        titles, rows = self._table()
        return markdown_grid(titles, rows, {*titles} - {*_TIMING_WORDS})

    def _table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Titles and rows; the columns that compare only if there are other contestants."""
        compared = any(timing.contestant != OURS for timing in self.timings)
        titles = (*_TIMING_TITLES, *(_RATIO_TITLES if compared else ()))
        return titles, [_timing_row(timing)[: len(titles)] for timing in self.timings]


def _timing_row(timing: Timing) -> tuple[str, ...]:
    middle, least, most = timing.ratio
    ours = timing.contestant == OURS
    return (
        timing.network,
        timing.device,
        str(timing.batch),
        timing.contestant,
        f"{timing.p50_ms:.2f}",
        f"{timing.p95_ms:.2f}",
        f"{100 * timing.spread:.0f} %",
        f"{timing.samples_s:.1f}",
        f"{timing.peak_bytes / 1e6:.0f}",
        "1" if ours else f"{middle:.2f}",
        "" if ours else f"{least:.2f} .. {most:.2f}",
        "" if ours else f"{timing.difference:.1e}",
    )


# --- profiles --------------------------------------------------------------------------------------------


def _profile_data(profile: Profile) -> dict[str, object]:
    return {
        "network": profile.network,
        "batch": profile.batch,
        "ms": profile.ms,
        **asdict(profile.machine),
        "nodes": [asdict(node) for node in profile.nodes],
    }


def _profile_text(profile: Profile, top: int, style: Style) -> str:
    head = style.paint("head", f"{profile.network}, batch {profile.batch}")
    table = grid(_NODE_TITLES, _node_rows(profile, top), {*_NODE_TITLES} - {*_NODE_WORDS}, style)
    return f"{head}\n\n{table}\n{_total(profile)}"


def _profile_markdown(profile: Profile, top: int) -> str:
    table = markdown_grid(_NODE_TITLES, _node_rows(profile, top), {*_NODE_TITLES} - {*_NODE_WORDS})
    return f"**{profile.network}, batch {profile.batch}**\n\n{table}\n{_total(profile)}"


def _node_rows(profile: Profile, top: int) -> list[tuple[str, ...]]:
    slowest = sorted(profile.nodes, key=lambda node: -node.ms)
    return [_node_row(node, profile.ms) for node in slowest[:top]]


def _node_row(node: NodeTime, total_ms: float) -> tuple[str, ...]:
    return (
        node.path,
        node.op,
        f"{node.ms:.3f}",
        f"{100 * node.ms / total_ms:.1f} %",
        f"{node.macs:,}" if node.macs else "-",
        f"{node.macs / max(node.ms, 1e-3) / 1e6:.1f}" if node.macs else "-",
        f"{100 * node.of_gemm:.0f} %" if node.macs else "-",
        f"{100 * node.of_roof:.0f} %",
    )


def _total(profile: Profile) -> str:
    macs, machine = sum(node.macs for node in profile.nodes), profile.machine
    share = macs / max(profile.ms, 1e-3) * 1000 / machine.macs_s
    return (
        f"{len(profile.nodes)} nodes take {profile.ms:.2f} ms for {macs:,} MACs: {100 * share:.0f} % of the rate of "
        "large matrix products\n"
        f"(measured: {machine.macs_s / 1e9:.1f} GMAC/s; copying {machine.bytes_s / 1e9:.1f} GB/s)\n"
    )
