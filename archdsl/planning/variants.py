"""The networks of one spec with other arguments and input sizes. The spec is read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from archdsl.diagnostics import ArchError
from archdsl.elaborate import elaborate
from archdsl.language.document import Document
from archdsl.language.expressions import Value
from archdsl.network import Network
from archdsl.spec.open import document_of, open_spec, resized


class Variants:
    """The variants of a SPEC. Raises the errors of reading it, as `archdsl.load` does."""

    def __init__(self, spec: str | os.PathLike[str]) -> None:
        self.spec = open_spec(spec if isinstance(spec, str) else Path(spec))
        self._documents: dict[str | None, Document] = {}

    @property
    def document(self) -> Document:
        """The document at the input size of the spec."""
        return self._document(None)

    def network(self, setting: Mapping[str, Value], input: str | None = None) -> Network:
        """Return the network with these values of arguments, which must exist. Raises ArchError as `load` does."""
        try:
            document = self._document(input)
            return Network(document, elaborate(document, setting), setting)
        except ArchError as problem:
            raise problem if input is None else resized(problem, self.spec, input) from None

    def _document(self, input: str | None) -> Document:
        if input not in self._documents:
            self._documents[input] = document_of(self.spec, input)
        return self._documents[input]
