"""The language server: `archdsl lsp`. It speaks the protocol, and converts what the other modules of `editor` return.

The text of each open file is read in a thread, first its own network, then, when nobody types, its variants and claims.
A newer text cancels what has not started, and the result of what has is discarded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from lsprotocol import types as lsp
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from archdsl.diagnostics import ArchError, Diagnostic, Edit, Source, Span
from archdsl.editor.completion import complete
from archdsl.editor.edits import fixes, formatting
from archdsl.editor.hints import hints
from archdsl.editor.hover import hover
from archdsl.editor.names import definitions, occurrence_at, references, rename
from archdsl.editor.outline import Item, folds, outline
from archdsl.editor.positions import Positions, Unit
from archdsl.editor.snapshot import Snapshot, snapshots
from archdsl.explain import page
from archdsl.spec.find import looks_like_spec
from archdsl.version import __version__

T = TypeVar("T")
PAUSE = 0.3
"""Seconds without a change before variants and claims are checked."""
PATIENCE = 1.0
"""Seconds that a request waits for the newest text to be read; after them, its answer is empty."""
_SEVERITY = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "note": lsp.DiagnosticSeverity.Information,
}
_SYMBOL = {
    "section": lsp.SymbolKind.Module,
    "argument": lsp.SymbolKind.Variable,
    "block": lsp.SymbolKind.Class,
    "network": lsp.SymbolKind.Package,
    "input": lsp.SymbolKind.Interface,
    "node": lsp.SymbolKind.Field,
}
_COMPLETION = {
    "key": lsp.CompletionItemKind.Keyword,
    "op": lsp.CompletionItemKind.Function,
    "block": lsp.CompletionItemKind.Class,
    "field": lsp.CompletionItemKind.Property,
    "flag": lsp.CompletionItemKind.EnumMember,
    "argument": lsp.CompletionItemKind.Variable,
    "node": lsp.CompletionItemKind.Reference,
    "value": lsp.CompletionItemKind.Value,
    "network": lsp.CompletionItemKind.Module,
}


class OpenFile:
    """One file in the editor: its newest text, and the newest snapshot, which may be of an older text."""

    def __init__(self, uri: str, unit: Unit) -> None:
        self.uri, self.unit = uri, unit
        self.source = Source("", "")
        self.lines = Positions("")
        self.version = 0
        self.snapshot: Snapshot | None = None
        self.task: asyncio.Task[None] | None = None
        self.read = asyncio.Event()
        self.missed = False
        """Whether a request was answered before the newest text was read."""

    def change(self, text: str, version: int) -> None:
        path = uris.to_fs_path(self.uri) if self.uri.startswith("file:") else None
        self.source = Source(path or self.uri, text.removeprefix("\ufeff"), Path(path) if path else None)
        self.lines = Positions(self.source.text, self.unit)
        self.version = version
        self.read.clear()
        self.missed = False

    async def settled(self) -> Snapshot | None:
        """Wait for the snapshot of the newest text. None if that takes too long."""
        try:
            await asyncio.wait_for(self.read.wait(), PATIENCE)
        except TimeoutError:
            self.missed = True
        return self.snapshot if self.snapshot is not None and self.snapshot.source is self.source else None

    def range(self, span: Span) -> lsp.Range:
        """The range of a span, of this text or of another file."""
        lines = self.lines if span.source is self.source else Positions(span.source.text, self.unit)
        return lsp.Range(*(lsp.Position(*lines.position(offset)) for offset in (span.start, span.end)))

    def offset(self, position: lsp.Position) -> int:
        return self.lines.offset(position.line, position.character)

    def changes(self, edits: Iterable[Edit]) -> lsp.WorkspaceEdit:
        """Edits of this text, as the protocol has them."""
        return lsp.WorkspaceEdit({self.uri: [lsp.TextEdit(self.range(edit.span), edit.text) for edit in edits]})

    def location(self, span: Span) -> lsp.Location:
        path = span.source.path
        uri = self.uri if span.source is self.source or path is None else uris.from_fs_path(str(path.resolve()))
        return lsp.Location(uri or self.uri, self.range(span))


class Server(LanguageServer):
    """Keeps the open files, and reads each text in a thread."""

    def __init__(self) -> None:
        super().__init__("archdsl", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full)
        self.files: dict[str, OpenFile] = {}

    def changed(self, uri: str, text: str, version: int) -> None:
        """Read a new text, and no longer the one before."""
        unit = cast(Unit, str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding)))
        file = self.files.setdefault(uri, OpenFile(uri, unit))
        file.change(text, version)
        if file.task is not None:
            file.task.cancel()
        file.task = asyncio.get_running_loop().create_task(self._read(file))
        file.task.add_done_callback(_log_failure)

    def closed(self, uri: str) -> None:
        file = self.files.pop(uri, None)
        if file is not None:
            if file.task is not None:
                file.task.cancel()
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))

    @property
    def _refreshes(self) -> bool:
        """Whether the client asks again for hints when it is told to."""
        workspace = self.client_capabilities.workspace
        return bool(workspace and workspace.inlay_hint and workspace.inlay_hint.refresh_support)

    async def _read(self, file: OpenFile) -> None:
        """Read a text step by step, and publish what is known after each. Cancelled when there is a newer text."""
        steps = snapshots(file.source, file.snapshot)
        version, published = file.version, None
        while (snapshot := await in_thread(_next, steps)) is not None:
            file.snapshot, first = snapshot, not file.read.is_set()
            file.read.set()
            if snapshot.diagnostics != published:
                published = snapshot.diagnostics
                # Of a text that may be any YAML file, nothing is said of the keys that a spec must have.
                unsaid = () if looks_like_spec(file.source.text) else ("E0201", "E0203")
                items = [_diagnostic(file, d) for d in published if d.code not in unsaid]
                self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(file.uri, items, version))
            if first:
                if file.missed and self._refreshes:
                    self.workspace_inlay_hint_refresh(None)
                await asyncio.sleep(PAUSE)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Report an exception, which is a bug of archdsl, on standard error; the server goes on with the next text."""
    if not task.cancelled() and (problem := task.exception()) is not None:
        logging.getLogger(__name__).error("cannot read a text", exc_info=problem)


_THREADS = ThreadPoolExecutor(2, "archdsl")
"""Two, so that a text that takes long does not delay the next one. What is done on the loop itself takes 1 ms."""


async def in_thread(function: Callable[..., T], *values: object) -> T:
    """Return the result of a function that may take long."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, function, *values)


def _next(steps: Iterator[Snapshot]) -> Snapshot | None:
    return next(steps, None)


def _diagnostic(file: OpenFile, d: Diagnostic) -> lsp.Diagnostic:
    """A diagnostic at its place in this file; one of the base at the `extends` that reads it."""
    own = [label for label in d.labels if label.span.source is file.source]
    span = d.span if d.span is not None and d.span.source is file.source else own[0].span if own else None
    related = [lsp.DiagnosticRelatedInformation(file.location(label.span), label.text) for label in d.labels]
    if d.span is not None and d.span is not span:
        related.insert(0, lsp.DiagnosticRelatedInformation(file.location(d.span), d.label or d.message))
    return lsp.Diagnostic(
        range=file.range(span if span is not None else Span(file.source, 0, 0)),
        message=d.text,
        severity=_SEVERITY[d.severity],
        code=d.code,
        code_description=lsp.CodeDescription(page(d.code).address),
        source="archdsl",
        related_information=related or None,
    )


# --- requests: each gets the file, a snapshot of its newest text, and the parameters -------------------------------


async def _hints(file: OpenFile, snapshot: Snapshot, params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
    lines, shown = file.lines, range(params.range.start.line, params.range.end.line + 1)
    return [
        lsp.InlayHint(lsp.Position(*lines.position(hint.offset)), hint.text, tooltip=hint.detail, padding_left=True)
        for hint in await in_thread(hints, snapshot, lines)
        if lines.line_of(hint.offset) in shown
    ]


async def _hover(file: OpenFile, snapshot: Snapshot, params: lsp.HoverParams) -> lsp.Hover | None:
    found = await in_thread(hover, snapshot, file.offset(params.position))
    return found and lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, found.text), file.range(found.span))


async def _complete(file: OpenFile, snapshot: Snapshot, params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
    end = params.position
    found = await in_thread(complete, snapshot, file.source.text, file.offset(end))
    return [
        lsp.CompletionItem(
            one.text.strip(" :=") or one.text,
            kind=_COMPLETION[one.kind],
            detail=one.detail or None,
            sort_text=f"{order:04}",
            text_edit=lsp.TextEdit(lsp.Range(lsp.Position(*file.lines.position(one.start)), end), one.text),
        )
        for order, one in enumerate(found)
    ]


async def _definition(file: OpenFile, snapshot: Snapshot, params: lsp.DefinitionParams) -> list[lsp.Location]:
    return [file.location(span) for span in await in_thread(definitions, snapshot, file.offset(params.position))]


async def _references(file: OpenFile, snapshot: Snapshot, params: lsp.ReferenceParams) -> list[lsp.Location]:
    here = await in_thread(occurrence_at, snapshot, file.offset(params.position))
    found = [] if here is None else await in_thread(references, snapshot, here.symbol)
    wanted = [one for one in found if params.context.include_declaration or not one.defines]
    return [file.location(one.span) for one in wanted]


async def _prepare(file: OpenFile, snapshot: Snapshot, params: lsp.PrepareRenameParams) -> lsp.Range | None:
    here = await in_thread(occurrence_at, snapshot, file.offset(params.position))
    return here and file.range(here.span)


async def _rename(file: OpenFile, snapshot: Snapshot, params: lsp.RenameParams) -> lsp.WorkspaceEdit:
    try:
        spans = await in_thread(rename, snapshot, file.offset(params.position), params.new_name)
    except ArchError as problem:
        raise JsonRpcInvalidParams(problem.diagnostics[0].text) from None
    return file.changes([Edit(span, params.new_name) for span in spans])


async def _symbols(file: OpenFile, snapshot: Snapshot, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    def symbol(item: Item) -> lsp.DocumentSymbol:
        inner = [symbol(child) for child in item.children]
        where, key = file.range(item.span), file.range(item.key)
        return lsp.DocumentSymbol(item.name, _SYMBOL[item.kind], where, key, detail=item.detail, children=inner)

    return [symbol(item) for item in await in_thread(outline, snapshot)]


async def _folds(file: OpenFile, snapshot: Snapshot, params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
    kinds = {True: lsp.FoldingRangeKind.Comment, False: None}
    found = await in_thread(folds, snapshot, file.lines)
    return [lsp.FoldingRange(first, last, kind=kinds[comment]) for first, last, comment in found]


async def _format(
    file: OpenFile, snapshot: Snapshot, params: lsp.DocumentFormattingParams
) -> list[lsp.TextEdit] | None:
    edit = await in_thread(formatting, file.source)
    return None if edit is None else [lsp.TextEdit(file.range(edit.span), edit.text)]


async def _actions(file: OpenFile, snapshot: Snapshot, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    start, end = file.offset(params.range.start), file.offset(params.range.end)
    return [
        lsp.CodeAction(
            fix.title,
            kind=lsp.CodeActionKind.QuickFix,
            diagnostics=[_diagnostic(file, d)],
            is_preferred=fix.safe,
            edit=file.changes(fix.edits),
        )
        for d, fix in fixes(snapshot, start, end)
    ]


# --- the server ------------------------------------------------------------------------------------------------------


def _opened(server: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    server.changed(params.text_document.uri, params.text_document.text, params.text_document.version)


def _changed(server: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    document = server.workspace.get_text_document(params.text_document.uri)
    server.changed(params.text_document.uri, document.source, params.text_document.version)


def _closed(server: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    server.closed(params.text_document.uri)


def server() -> Server:
    """Return a server with all its features, which is not connected yet."""
    made = Server()
    for feature, notify in _NOTIFICATIONS.items():
        made.feature(feature)(_notification(made, notify))
    for feature, (answer, empty, options) in _REQUESTS.items():
        made.feature(feature, options)(_request(made, answer, empty))
    return made


def _notification(server: Server, notify: Callable[[Server, Any], None]) -> Callable[[Any], None]:
    return lambda params: notify(server, params)


def _request(server: Server, answer: Callable[..., Any], empty: Any) -> Callable[[Any], Any]:
    """The handler of a request; its answer is `empty` if the file is not open, or takes too long to read."""

    async def handler(params: Any) -> Any:
        file = server.files.get(params.text_document.uri)
        snapshot = await file.settled() if file is not None else None
        return empty if file is None or snapshot is None else await answer(file, snapshot, params)

    return handler


_NOTIFICATIONS: Mapping[str, Callable[[Server, Any], None]] = {
    lsp.TEXT_DOCUMENT_DID_OPEN: _opened,
    lsp.TEXT_DOCUMENT_DID_CHANGE: _changed,
    lsp.TEXT_DOCUMENT_DID_CLOSE: _closed,
}
_REQUESTS: Mapping[str, tuple[Callable[..., Any], Any, Any]] = {
    lsp.TEXT_DOCUMENT_INLAY_HINT: (_hints, [], None),
    lsp.TEXT_DOCUMENT_HOVER: (_hover, None, None),
    lsp.TEXT_DOCUMENT_COMPLETION: (_complete, [], lsp.CompletionOptions([" ", "(", ",", "=", "{", "[", "."])),
    lsp.TEXT_DOCUMENT_DEFINITION: (_definition, [], None),
    lsp.TEXT_DOCUMENT_REFERENCES: (_references, [], None),
    lsp.TEXT_DOCUMENT_PREPARE_RENAME: (_prepare, None, None),
    lsp.TEXT_DOCUMENT_RENAME: (_rename, None, lsp.RenameOptions(prepare_provider=True)),
    lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL: (_symbols, [], None),
    lsp.TEXT_DOCUMENT_FOLDING_RANGE: (_folds, [], None),
    lsp.TEXT_DOCUMENT_FORMATTING: (_format, None, None),
    lsp.TEXT_DOCUMENT_CODE_ACTION: (_actions, [], lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix])),
}
"""By the name of the request: the function that answers it, the answer of an unknown file, the options."""


def serve() -> None:
    """Serve one editor on standard input and output until it disconnects, then end the process.

    Nothing but the protocol is written to standard output.
    """
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # a stray print must not break the protocol
    _THREADS.submit(_warm_up)
    server().start_io(sys.stdin.buffer, answers)
    sys.stderr.flush()
    os._exit(0)  # a text that is still being read would keep the process for seconds


def _warm_up() -> None:
    """Import what the first error and the first answers need, before somebody waits for them."""
    for snapshot in snapshots(Source("", "input: 3x8x8\nnet: [nn.Linear(3, 8), convv, 3x3 conv 8]\n")):
        hover(snapshot, snapshot.text.index("conv 8"))
        hints(snapshot, Positions(snapshot.text))
