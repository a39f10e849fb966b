"""A spec that is being edited: the page of its last valid version, and the errors of the present one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from archdsl.diagnostics import ArchError, error, render_text
from archdsl.diagnostics.arguments import conflict
from archdsl.drawing.page import page
from archdsl.network import open_network
from archdsl.source.files import NO_FILE
from archdsl.spec.find import find_spec
from archdsl.spec.models import names_model
from archdsl.spec.open import files_of


class Followed:
    """A spec to watch. `version` counts its drawings, `page` is the last one as HTML, `errors` are those of now."""

    def __init__(self, spec: str, args: Mapping[str, str], size: str | None) -> None:
        """Raises E0003 for standard input, E0205 for a model or an unknown name, E0114 if there is no such file."""
        if spec == "-":
            raise conflict("standard input cannot be watched: name a file")
        if names_model(spec):
            raise error("E0205", f"`{spec[-120:]}` is a model, which this command does not take", status=2)
        path = Path(find_spec(spec).path)
        if not path.is_file():
            raise error("E0114", f"cannot read {str(path)[-200:]}: there is no such file", status=2, help=NO_FILE)
        self.spec, self.args, self.size = spec, args, size
        self.version, self.page, self.errors = 0, b"", ""
        self.files: frozenset[Path] = frozenset()
        self.changed = asyncio.Event()
        """Set at the next change, and then replaced by a new event."""

    def read(self) -> None:
        """Read the spec and draw it. An error keeps the last drawing, and the files that were followed."""
        files = frozenset(files_of(self.spec))
        try:
            net = open_network(self.spec, self.args, self.size)
            drawn = page(net.graph).encode()
        except ArchError as problem:
            self.errors, self.files = render_text(problem.diagnostics), self.files | files
        else:
            self.version, self.page, self.errors, self.files = self.version + 1, drawn, "", files

    async def follow(self, stop: asyncio.Event) -> None:
        """Read the spec again after each change of its files, until `stop` is set."""
        from watchfiles import Change, awatch

        def is_followed(change: Change, name: str) -> bool:
            return Path(name) in self.files

        while not stop.is_set():
            # Folders, not files: editors replace a file when they save it.
            folders = {path.parent for path in self.files}
            async for _ in awatch(*folders, watch_filter=is_followed, recursive=False, debounce=200, stop_event=stop):
                await asyncio.to_thread(self.read)
                before, self.changed = self.changed, asyncio.Event()
                before.set()
                if {path.parent for path in self.files} != folders:
                    break
