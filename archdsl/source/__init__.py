"""YAML text to a tree in which every key and every value knows its place.

The tree is built from the events of PyYAML's C parser, never from its nodes: the C composer overflows its
stack on deeply nested text, forgets positions, and lets the last of two equal keys win. Only the core
types of YAML 1.2 exist here (`on` and `1_000` are strings, `1e-4` is a number); tags, merge keys, duplicate
keys and further documents are errors, and everything that can grow has a limit.
"""

from __future__ import annotations

from archdsl.source.events import collector_paused, parse
from archdsl.source.files import decode, read
from archdsl.source.limits import MAX_ALIASED, MAX_BYTES, MAX_DEPTH, MAX_NODES
from archdsl.source.tree import Entry, Map, PlainValue, Scalar, Seq, Tree
from archdsl.source.values import plain_value

__all__ = [
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
    "plain_value",
    "read",
]
