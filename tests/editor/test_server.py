"""The server over stdio (`archdsl.cli.lsp`, `archdsl.editor.server`), with a real client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_lsp
from click.testing import CliRunner
from lsprotocol import types as lsp
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

import archdsl
from archdsl.cli import main
from archdsl.editor.positions import Positions
from tests.editor.texts import TINY, at

SERVER = ClientServerConfig(server_command=[sys.executable, "-m", "archdsl", "lsp"])
WITH_LOOP = pytest.mark.asyncio(loop_scope="module")


@pytest_lsp.fixture(config=SERVER, scope="module", loop_scope="module")
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    await lsp_client.initialize_session(
        lsp.InitializeParams(capabilities=client_capabilities("visual-studio-code"), root_uri=None)
    )
    yield
    await lsp_client.shutdown_session()


def document(client: LanguageClient, path: Path, text: str) -> lsp.TextDocumentIdentifier:
    """Open a file whose text is only in the editor."""
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(path.as_uri(), "yaml", 1, text)))
    return lsp.TextDocumentIdentifier(path.as_uri())


def change(client: LanguageClient, uri: str, text: str, version: int) -> None:
    client.text_document_did_change(
        lsp.DidChangeTextDocumentParams(
            lsp.VersionedTextDocumentIdentifier(version, uri), [lsp.TextDocumentContentChangeWholeDocument(text)]
        )
    )


async def published(client: LanguageClient, uri: str, code: str) -> lsp.Diagnostic:
    """Wait until a diagnostic with a code is published."""
    while not (found := [d for d in client.diagnostics.get(uri, ()) if d.code == code]):
        await asyncio.wait_for(client.wait_for_notification("textDocument/publishDiagnostics"), 20)
    return found[0]


def whole() -> lsp.Range:
    return lsp.Range(lsp.Position(0, 0), lsp.Position(1000, 0))


def position(offset: int, text: str = TINY) -> lsp.Position:
    return lsp.Position(*Positions(text).position(offset))


@WITH_LOOP
async def test_a_session(client: LanguageClient, tmp_path: Path) -> None:
    file = document(client, tmp_path / "tiny.yaml", TINY)
    hints = await client.text_document_inlay_hint_async(lsp.InlayHintParams(file, whole()))
    assert hints is not None and [hint.label for hint in hints][-2:] == ["→ 32 x 1 x 1", "→ 10"]
    hover = await client.text_document_hover_async(lsp.HoverParams(file, position(at("st|em: 3x3"))))
    assert hover is not None and isinstance(hover.contents, lsp.MarkupContent) and "16 x H x W" in hover.contents.value
    offered = await client.text_document_completion_async(lsp.CompletionParams(file, position(at("3x3 con|v width"))))
    assert isinstance(offered, list) and "conv" in [item.label for item in offered]
    (defined,) = await client.text_document_definition_async(  # type: ignore[misc,union-attr]
        lsp.DefinitionParams(file, position(at("conv wid|th")))
    )
    assert defined.range.start == position(TINY.index("width: 16"))  # type: ignore[union-attr]
    context = lsp.ReferenceContext(include_declaration=False)
    used = await client.text_document_references_async(lsp.ReferenceParams(context, file, position(at("conv wid|th"))))
    assert used is not None and len(used) == 2
    edit = await client.text_document_rename_async(lsp.RenameParams(file, position(at("ste|m:")), "first"))
    assert edit is not None and edit.changes is not None and len(edit.changes[file.uri]) == 1
    outline = await client.text_document_document_symbol_async(lsp.DocumentSymbolParams(file))
    assert outline is not None and [item.name for item in outline][:2] == ["name", "input"]
    folds = await client.text_document_folding_range_async(lsp.FoldingRangeParams(file))
    assert folds
    options = lsp.FormattingOptions(tab_size=2, insert_spaces=True)
    assert await client.text_document_formatting_async(lsp.DocumentFormattingParams(file, options)) is None


@WITH_LOOP
async def test_an_error_is_that_of_check(client: LanguageClient, tmp_path: Path) -> None:
    text = TINY.replace("same: basic(32)", "same: basic(64) # ü🙂\n  sum: add <- same, body # 🙂")
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    (expected,) = archdsl.check(path).diagnostics
    file = document(client, path, text)
    found = await published(client, file.uri, expected.code)
    assert found.message.startswith(expected.message) and expected.span is not None
    assert found.range.start == position(expected.span.start, text)
    assert found.range.end == position(expected.span.end, text)
    assert found.code_description is not None and expected.code.lower() in found.code_description.href
    related = [one.location.range.start for one in found.related_information or ()]
    assert related == [position(label.span.start, text) for label in expected.labels]
    params = lsp.CodeActionParams(file, found.range, lsp.CodeActionContext([found]))
    actions = await client.text_document_code_action_async(params)
    assert len(actions or ()) == len(expected.fixes)


@WITH_LOOP
async def test_only_the_newest_text_counts(client: LanguageClient, tmp_path: Path) -> None:
    bomb = TINY.replace("same: basic(32)", "same: 400 * basic(32)")
    file = document(client, tmp_path / "typed.yaml", bomb)
    for version in range(2, 12):
        change(client, file.uri, bomb.replace("400", str(400 + version)), version)
    change(client, file.uri, TINY.replace("fc classes", "fc classes + 1"), 12)
    change(client, file.uri, TINY.replace("fc classes", "fc classes*2"), 13)
    hints = await client.text_document_inlay_hint_async(lsp.InlayHintParams(file, whole()))
    if not hints:  # the machine is busy: the server answers what it knows, and asks to be asked again
        await asyncio.sleep(5)
        hints = await client.text_document_inlay_hint_async(lsp.InlayHintParams(file, whole()))
    assert hints is not None and hints[-1].label == "→ 20"


@WITH_LOOP
async def test_variants_and_claims_follow(client: LanguageClient, tmp_path: Path) -> None:
    text = TINY.replace("{width: 32}", "{width: none}") + "claims: {params: 5M}\n"
    file = document(client, tmp_path / "claims.yaml", text)
    assert "`wide`" in (await published(client, file.uri, "E0308")).message
    assert "claimed to be 5M" in (await published(client, file.uri, "E0902")).message


@WITH_LOOP
async def test_a_rename_that_changes_the_network_is_an_error(client: LanguageClient, tmp_path: Path) -> None:
    file = document(client, tmp_path / "rename.yaml", TINY)
    with pytest.raises(Exception, match="would change"):
        await client.text_document_rename_async(lsp.RenameParams(file, position(at("{class|es")), "width"))


@WITH_LOOP
async def test_nothing_is_said_of_a_file_that_is_no_spec(client: LanguageClient, tmp_path: Path) -> None:
    file = document(client, tmp_path / "compose.yaml", "version: 3\nservices: {web: x}\n")
    await asyncio.wait_for(client.wait_for_notification("textDocument/publishDiagnostics"), 20)
    assert not client.diagnostics[file.uri]


def test_the_hint_of_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.packages.find_spec", lambda package: None)
    result = CliRunner().invoke(main, ["lsp"])
    assert result.exit_code == 2 and "pygls is not installed" in result.output and "[lsp]" in result.output


def test_nothing_but_the_protocol_is_printed() -> None:
    able = b'{"capabilities":{"general":{"positionEncodings":["utf-8"]}}}'
    body = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":%s}' % able
    more = b'{"jsonrpc":"2.0","id":2,"method":"shutdown"}'
    end = b'{"jsonrpc":"2.0","method":"exit"}'
    messages = b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(one), one) for one in (body, more, end))
    done = subprocess.run(
        [sys.executable, "-m", "archdsl", "lsp", "--stdio"], input=messages, capture_output=True, timeout=60
    )
    assert done.stdout.startswith(b"Content-Length: ") and done.stdout.count(b"Content-Length: ") == 2
    assert b'"positionEncoding":"utf-8"' in done.stdout.replace(b" ", b"")
    assert done.returncode == 0 and not done.stderr
