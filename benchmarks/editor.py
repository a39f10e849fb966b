"""Measure how long an editor waits after a keystroke: for the errors, and for the shapes at the ends of lines.

Starts `archdsl lsp`, opens each file of the library in it, and types a comment and then two fields of a node. Every
change is sent as a whole text, and the client asks for the inlay hints at once, as editors do. The next key follows a
moment after both answers. In wall time, so other load of the machine counts.
`python benchmarks/editor.py [--keys 6] [--json] [FILE...]`. Needs `pip install 'archdsl[lsp]'`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from lsprotocol import types as lsp
from measure import ROOT, machine, table
from pygls.lsp.client import LanguageClient

TYPICAL_S, MOST_S = 0.05, 0.1
"""Targets for the median of a file: on 95 % of the files, and on all."""
REST_S = 0.05
"""Seconds between an answer and the next key: 20 characters a second are faster than anybody types."""


def typed(text: str, keys: int) -> Iterator[str]:
    """States of a text while somebody types in its net: a comment, then fields of a node."""
    section = re.search(r"^net:", text, re.MULTILINE) or re.search(r"^\w+:", text, re.MULTILINE)
    net = section.start() if section is not None else 0
    middle = text.index("\n", net + (len(text) - net) // 3)
    for n in range(keys):
        yield f"{text[:middle]} # {'comment'[: n + 1]}{text[middle:]}"
    node = re.search(r"\b(?:conv|fc) \w+|\w$", text[net:], re.MULTILINE)
    at = len(text) if node is None else net + node.end()
    for n in range(keys):
        yield f"{text[:at]}{' /1 pad=1'[: n + 1]}{text[at:]}"


class Editor(LanguageClient):
    """A client that notes when the diagnostics of each version arrive."""

    def __init__(self) -> None:
        super().__init__("benchmark", "1")
        self.arrived: dict[int, float] = {}
        self.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda params: self.note(params))

    def note(self, params: lsp.PublishDiagnosticsParams) -> None:
        self.arrived.setdefault(params.version or 0, time.perf_counter())

    async def open(self, uri: str, text: str) -> None:
        item = lsp.TextDocumentItem(uri, "yaml", 0, text)
        self.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        await self.hints(uri)

    async def hints(self, uri: str) -> object:
        whole = lsp.Range(lsp.Position(0, 0), lsp.Position(100_000, 0))
        return await self.text_document_inlay_hint_async(lsp.InlayHintParams(lsp.TextDocumentIdentifier(uri), whole))

    def cpu_s(self) -> float:
        """The CPU time of all threads of the server so far, which other load does not change; 0 outside of Linux."""
        tasks = Path(f"/proc/{self._server.pid if self._server else 0}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    async def key(self, uri: str, text: str, version: int) -> tuple[float, float, float]:
        """Seconds from a change of the text to its diagnostics, and to its hints; the CPU time of both."""
        begin, used = time.perf_counter(), self.cpu_s()
        self.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(version, uri), [lsp.TextDocumentContentChangeWholeDocument(text)]
            )
        )
        await self.hints(uri)
        end = time.perf_counter()
        while version not in self.arrived:
            await asyncio.sleep(0.001)
        return self.arrived[version] - begin, end - begin, self.cpu_s() - used


async def measured(files: list[Path], keys: int) -> dict[str, list[tuple[float, float, float]]]:
    """The seconds of each key, by the name of the file."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    editor = Editor()
    await editor.start_io(sys.executable, "-m", "archdsl", "lsp")
    await editor.initialize_async(lsp.InitializeParams(lsp.ClientCapabilities(), root_uri=ROOT.as_uri()))
    editor.initialized(lsp.InitializedParams())
    out: dict[str, list[tuple[float, float, float]]] = {}
    for path in files:
        text = path.read_text(encoding="utf-8")
        await editor.open(path.as_uri(), text)
        editor.arrived.clear()
        out[path.stem] = []
        for version, state in enumerate(typed(text, keys), 1):
            await asyncio.sleep(REST_S)
            out[path.stem].append(await editor.key(path.as_uri(), state, version))
        editor.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(path.as_uri())))
    await editor.shutdown_async(None)
    editor.exit(None)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="spec files (those of the library)")
    parser.add_argument("--keys", type=int, default=6, help="keys of each of the two words (6)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    files = [path.resolve() for path in options.files] or sorted((ROOT / "specs").glob("*.yaml"))
    seconds = asyncio.run(measured(files, options.keys))
    medians = {name: tuple(median(key[n] for key in times) for n in (0, 1, 2)) for name, times in seconds.items()}
    if options.json:
        print(json.dumps({"machine": machine("pygls", "pyyaml"), "seconds": seconds, "medians": medians}))
        return
    rows = []
    for name, times in sorted(medians.items(), key=lambda row: -row[1][1])[:10]:
        rows.append([name, *(f"{t * 1e3:.0f} ms" for t in times)])
    print(table(["file", "errors", "shapes", "CPU"], rows))
    for what, n in (("errors", 0), ("shapes", 1), ("CPU time", 2)):
        files_s = sorted(times[n] for times in medians.values())
        keys_s = sorted(key[n] for times in seconds.values() for key in times)
        print(
            f"{what}: median of all keys {median(keys_s) * 1e3:.0f} ms, 95 % of the keys {_at(keys_s) * 1e3:.0f} ms, "
            f"slowest {keys_s[-1] * 1e3:.0f} ms; medians of the {len(files_s)} files: 95 % within "
            f"{_at(files_s) * 1e3:.0f} ms (target {TYPICAL_S * 1e3:.0f}), all within {files_s[-1] * 1e3:.0f} ms "
            f"(target {MOST_S * 1e3:.0f})"
        )


def _at(ordered: list[float], part: float = 0.95) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


if __name__ == "__main__":
    main()
