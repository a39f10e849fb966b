"""Names: what may stand as a key, an argument or a block, and what may not."""

from __future__ import annotations

import keyword
import re

from archdsl.diagnostics import error
from archdsl.language.keys import COMMON_KEYS, HEADS
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Scalar, Tree

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}$", re.ASCII)
_ARGUMENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}$", re.ASCII)
_PATTERN = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_-]*)?(?:\{[0-9]{1,4}\}[A-Za-z0-9_-]*)+$", re.ASCII)

LANGUAGE_WORDS = frozenset(
    "and or not if else in i first last true false none when as dense input linear plain bias nobias "
    "min max round ceil floor int sum len abs divisible".split()
)
"""Words that an argument or block may not bear."""

MODULE_NAMES = frozenset(
    "T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches "
    "eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu "
    "load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters "
    "register_backward_hook register_buffer register_forward_hook register_forward_pre_hook "
    "register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook "
    "register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook "
    "register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to "
    "to_empty train training type xpu zero_grad append extend insert pop".split()
)
"""Attributes of torch's `Module` and `Sequential`: a child of that name would break it. A test holds the list
against the torch that is installed."""


CONTAINER_NAMES = frozenset("keys values items update clear pop".split())
"""Attributes of torch's `ModuleDict`: names that a further part of a dotted key may not be."""


def check_dotted(scalar: Scalar) -> str:
    """The name that a key of a mapping of nodes gives; `path1.conv` puts the node two levels down. Raises E0501,
    E0502."""
    first, *further = scalar.text.split(".")
    if not first or not further or scalar.text.startswith("_"):
        return check_key(scalar)
    start = 0
    for name in (first, *further):
        part = scalar.part(start, start + len(name))
        start += len(name) + 1
        if name.isdigit() and name.isascii() and len(name) < 6 and str(int(name)) == name and name is not first:
            continue
        if not is_key(name) or name.startswith("_") or (name is not first and name in CONTAINER_NAMES):
            raise error(
                "E0501",
                f"`{name[:60]}` cannot be a part of a dotted name",
                part,
                help="`path1.conv` or `norms.0`: names as any node's, none beginning with `_`, or numbers behind the first dot",
            )
    return scalar.text


def check_key(scalar: Scalar) -> str:
    """The name that a key of a mapping of nodes gives. Raises E0501 (not a name) or E0502 (taken)."""
    name = scalar.text
    if name.startswith(".") and name[1:] in (*HEADS, *COMMON_KEYS, "then"):
        return name[1:]
    if not _KEY.match(name):
        raise error(
            "E0501",
            f"`{name[:60]}` is not a name",
            scalar.span,
            help="names are ASCII: letters, digits, `_` and `-`, beginning with a letter or `_`" + _instead(name),
        )
    if name in MODULE_NAMES or keyword.iskeyword(name) or (name.startswith("__")):
        raise error(
            "E0502",
            f"`{name}` is a name that every PyTorch module or Python itself already has",
            scalar.span,
            help=f"e.g. `{name.strip('_')}1`",
        )
    if name == "input":
        raise error("E0502", "`input` is the tensor that a block receives; a node cannot be named so", scalar.span)
    return name


def is_key(name: str) -> bool:
    """Whether a node may bear the name."""
    taken = name in MODULE_NAMES or keyword.iskeyword(name) or name.startswith("__") or name == "input"
    return bool(_KEY.match(name)) and not taken


def _instead(name: str) -> str:
    """A name near to one that is none."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name, flags=re.ASCII).strip("_").lstrip("0123456789-")
    return f"; e.g. `{plain}`" if _KEY.match(plain) and len(plain) < 40 else ""


def check_argument(name: str, scalar: Scalar, what: str = "an argument") -> str:
    """The name of an argument or block. Raises E0501, E0502."""
    if not _ARGUMENT.match(name):
        raise error(
            "E0501",
            f"`{name[:60]}` cannot name {what}",
            scalar.span,
            help="ASCII letters, digits and `_`, beginning with a letter",
        )
    if name in OPS_BY_NAME or name in LANGUAGE_WORDS or name in HEADS or keyword.iskeyword(name):
        if what == "a block" and name in HEADS:
            return name  # `inception(a, b):` is a fine name: a call is never a key.
        whose = "a kind" if name in OPS_BY_NAME else "a word of the language"
        raise error("E0502", f"`{name}` is {whose}, it cannot name {what}", scalar.span, help=f"e.g. `{name}_`")
    return name


def check_pattern(tree: Tree) -> str:
    """`denselayer{1}`: raises E0501 unless it gives a name, and a different one for each copy."""
    if not isinstance(tree, Scalar) or not _PATTERN.match(tree.text):
        raise error(
            "E0501",
            "a pattern is a name with `{0}` or `{1}` in it, where the copy's number goes",
            tree.span,
            help="e.g. `denselayer{1}` counts from 1, `block{0}` from 0, `cell{7}` from 7",
        )
    return tree.text


def copy_name(pattern: str, number: int) -> str:
    """The name of a copy, numbered from 0: `cell{7}` counts from 7."""
    return re.sub(r"\{(\d+)\}", lambda first: str(int(first[1]) + number), pattern)
