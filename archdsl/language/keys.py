"""The keys of a spec: head words, and the keys of each mapping.

`forms` and `schema.models` define their values. Importing these models takes longer than reading a spec, so the names
are listed here.
"""

from __future__ import annotations

HEADS = ("op", "call", "do", "residual", "inception", "branches", "dense")
"""A mapping with one of these keys is a node; any other mapping is a sequence of named nodes."""
COMMON_KEYS = ("repeat", "as", "from", "when", "doc", "label")
"""Keys that are valid next to any head word."""
COMPOSITE_KEYS: dict[str, tuple[str, ...]] = {
    "call": (*COMMON_KEYS, "call"),
    "do": (*COMMON_KEYS, "then", "do"),
    "residual": (*COMMON_KEYS, "then", "residual", "shortcut", "scale"),
    "branches": (*COMMON_KEYS, "then", "branches", "merge", "split"),
    "inception": (*COMMON_KEYS, "then", "inception", "merge", "split"),
    "dense": (*COMMON_KEYS, "then", "dense"),
}
SHORTCUTS = ("project", "pad", "if_same_shape", "none")
"""Words for the shortcut of a residual block."""
NAMINGS = ("nested", "sibling", "flat")
"""Words of `naming` in `defaults`."""
TOP_LEVEL = (
    "archdsl",
    "name",
    "family",
    "task",
    "doc",
    "paper",
    "input",
    "axes",
    "args",
    "defaults",
    "blocks",
    "net",
    "aux",
    "outputs",
    "preprocess",
    "labels",
    "variants",
    "claims",
    "extends",
)
MAPPINGS = ("paper", "args", "defaults", "blocks", "aux", "variants", "claims")
"""Top-level keys whose value is a mapping; one value is no value of them."""
SINGLE = ("archdsl", "name", "family", "task", "doc", "axes", "extends")
"""Top-level keys with one value."""
TASKS = ("classification", "segmentation", "regression", "reconstruction", "comparison", "features", "filtering")
"""What a network is for: the words of `task`."""
_KEYS_ELSEWHERE = {
    "net": "layers network model architecture nodes modules features backbone graph",
    "input": "inputs input_shape input_size image_size in_shape shape",
    "args": "params parameters arguments hyperparameters config variables",
    "blocks": "functions macros templates definitions",
    "labels": "class_names classnames",
}
KEYS_ELSEWHERE = {name: key for key, names in _KEYS_ELSEWHERE.items() for name in names.split()}
"""Names of the top-level keys in other formats, in lower case."""
