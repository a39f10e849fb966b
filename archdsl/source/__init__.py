"""Parse YAML text into a tree in which every key and value has its position.

The tree is built from the events of PyYAML's C parser, not from its nodes: the C composer overflows its stack on deeply
nested text, loses positions, and accepts duplicate keys. Plain scalars have the core types of YAML 1.2 (`on` and
`1_000` are strings, `1e-4` is a number). Tags, merge keys, duplicate keys and further documents are errors, and sizes
have limits.
"""

from __future__ import annotations

from archdsl.source.events import CUT, collector_paused, parse, parse_known
from archdsl.source.files import decode, read
from archdsl.source.limits import MAX_ALIASED, MAX_BYTES, MAX_DEPTH, MAX_NODES
from archdsl.source.tree import Entry, Map, PlainValue, Scalar, Seq, Tree
from archdsl.source.values import plain_value

__all__ = [
    "CUT",
    "MAX_ALIASED",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Entry",
    "Map",
    "PlainValue",
    "Scalar",
    "Seq",
    "Tree",
    "collector_paused",
    "decode",
    "parse",
    "parse_known",
    "plain_value",
    "read",
]
