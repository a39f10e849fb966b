"""Checks the names of nodes, arguments, blocks and copies."""

from __future__ import annotations

import keyword
import re

from archdsl.diagnostics import Proposal, error
from archdsl.language.keys import COMMON_KEYS, HEADS
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Scalar, Tree

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}", re.ASCII)
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,4})", re.ASCII)
_ARGUMENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_PATTERN = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_-]*)?(?:\{[0-9]{1,4}\}[A-Za-z0-9_-]*)+", re.ASCII)

LANGUAGE_WORDS = frozenset(
    "and or not if else in axes i first last true false none when as dense input linear plain bias nobias "
    "min max round ceil floor int sum len abs divisible".split()
)
"""Words that cannot name an argument or a block."""

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
"""Attributes of `Module` and `Sequential` in PyTorch: a child of that name would replace them. A test compares the
list with the installed PyTorch."""


CONTAINER_NAMES = frozenset("keys values items update clear pop".split())
"""Attributes of `ModuleDict` in PyTorch: a later part of a dotted key cannot have these names."""


def check_path(scalar: Scalar) -> str:
    """Return the name of a node, for its key: a name, a number, or both with dots: `path1.norms.0`.

    Raises E0501, E0502.
    """
    text = scalar.text
    if "." not in text or text.startswith((".", "_")):
        return text if is_number(text) else check_key(scalar)
    start = 0
    for name in text.split("."):
        part = scalar.part(start, start + len(name))
        inner = start > 0
        start += len(name) + 1
        if is_number(name):
            continue
        if not is_key(name) or name.startswith("_") or (inner and name in CONTAINER_NAMES):
            raise error(
                "E0501",
                f"`{name[:60]}` is not valid in a dotted name",
                part,
                help="write numbers, or names that do not start with `_`: `path1.conv`, `norms.0`",
            )
    return text


def check_key(scalar: Scalar) -> str:
    """Return the name of a node, for its key. Raises E0501 (not a name) or E0502 (reserved)."""
    name = scalar.text
    if name.startswith(".") and name[1:] in (*HEADS, *COMMON_KEYS, "then"):
        return name[1:]
    if not _KEY.fullmatch(name):
        raise error(
            "E0501",
            f"`{name[:60]}` is not a valid name",
            scalar.span,
            help=_instead("use ASCII letters, digits, `_` and `-`, starting with a letter or `_`", name),
        )
    reason = _reserved(name)
    if reason:
        other = f"{name.strip('_')}1"
        help_ = "" if name == "input" else Proposal(f"e.g. `{other}`", other, name)
        raise error("E0502", f"a node cannot be named `{name}`: {reason}", scalar.span, help=help_)
    return name


def is_number(name: str) -> bool:
    """Whether the name is a number as PyTorch writes it: `0`, `12`, not `012`."""
    return bool(_NUMBER.fullmatch(name))


def is_key(name: str) -> bool:
    """Whether a node can have the name; numbers are names as well (`is_number`)."""
    return bool(_KEY.fullmatch(name)) and not _reserved(name)


def _reserved(name: str) -> str:
    """Why a name is reserved; empty if it is not."""
    if keyword.iskeyword(name):
        return "it is a keyword of Python"
    if name.startswith("__"):
        return "names that start with `__` are reserved by Python"
    if name in MODULE_NAMES:
        return "every PyTorch module has an attribute of this name"
    return "it is the input of the network or block" if name == "input" else ""


def _instead(help_: str, name: str) -> str:
    """The help, with a valid name that is similar to the invalid one."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name, flags=re.ASCII).strip("_").lstrip("0123456789-")
    similar = _KEY.fullmatch(plain) and len(plain) < 40
    return Proposal(f"{help_}; e.g. `{plain}`", plain, name) if similar else help_


def check_argument(name: str, scalar: Scalar, what: str = "an argument") -> str:
    """Return the name of an argument or block. Raises E0501 (not a name) or E0502 (reserved)."""
    if not _ARGUMENT.fullmatch(name):
        raise error(
            "E0501",
            f"`{name[:60]}` is not a valid name for {what}",
            scalar.span,
            help="use ASCII letters, digits and `_`, starting with a letter",
        )
    if _is_word(name):
        if what == "a block" and name in HEADS:
            return name  # `inception(a, b):` is valid: a call is never a key.
        owner = "an op" if name in OPS_BY_NAME else "a reserved word"
        raise error(
            "E0502",
            f"`{name}` is {owner}, so it cannot name {what}",
            scalar.span,
            help=Proposal(f"e.g. `{name}_`", f"{name}_", name),
        )
    return name


def is_argument(name: str) -> bool:
    """Whether an argument or an output can have the name."""
    return bool(_ARGUMENT.fullmatch(name)) and not _is_word(name)


def _is_word(name: str) -> bool:
    return name in OPS_BY_NAME or name in LANGUAGE_WORDS or name in HEADS or keyword.iskeyword(name)


def check_pattern(tree: Tree) -> str:
    """Return the pattern of the copies' names, `denselayer{1}`. Raises E0501 if it does not name each copy."""
    if not isinstance(tree, Scalar) or not _PATTERN.fullmatch(tree.text):
        raise error(
            "E0501",
            "a name pattern must contain `{0}` or `{1}`, the number of the copy",
            tree.span,
            help="e.g. `denselayer{1}` counts from 1, `block{0}` from 0, `cell{7}` from 7",
        )
    return tree.text


def copy_name(pattern: str, number: int) -> str:
    """Return the name of copy `number` (from 0): `cell{7}` counts from 7."""
    return re.sub(r"\{(\d+)\}", lambda first: str(int(first[1]) + number), pattern)
