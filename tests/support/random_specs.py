"""Random sound specs as a hypothesis strategy: those of `tests.search.networks.make`, by number."""

from __future__ import annotations

from hypothesis import strategies as st

import archdsl
from tests.search.networks.make import specification
from tests.search.networks.text import written


def texts() -> st.SearchStrategy[str]:
    """A spec as YAML, in flow or block style as it falls; `make.specification` says which of a number's.

    Some of many thousands are rightly refused and left out: two nodes of one name (1593), a name that `naming: sibling`
    cannot use, a layer that `again` would pad in another way.
    """
    numbers, widths = st.integers(0, 999_999), st.sampled_from([60, 200])
    return st.builds(lambda number, width: written(specification(number), number, width), numbers, widths).filter(
        _taken
    )


def _taken(text: str) -> bool:
    try:
        archdsl.loads(text)
    except archdsl.ArchError as refused:
        if refused.diagnostics[0].code in ("E0503", "E0505", "E0423"):
            return False
        raise
    return True
