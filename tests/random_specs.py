"""Random sound specs as a hypothesis strategy: those of `tests.networks.make`, by number."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.networks.make import specification
from tests.networks.text import written


def texts() -> st.SearchStrategy[str]:
    """A spec as YAML, in flow or block style as it falls; `make.specification` says which of a number's."""
    return st.builds(lambda number, width: written(specification(number), number, width), st.integers(0, 999_999), st.sampled_from([60, 200]))
