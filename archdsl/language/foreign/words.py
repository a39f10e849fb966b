"""Reads loose notations, such as `conv3-64`, `64@5x5`, `7x7, 64, stride 2` or `3x3 conv 64 + relu`, word by word.

Each word must be understood: a window, a number, an op, a norm, an activation, a field. Otherwise nothing is proposed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from archdsl.diagnostics import closest
from archdsl.language.foreign.convert import Unknown, convert
from archdsl.language.foreign.layers import Row, field_of, value
from archdsl.language.foreign.write import Layer
from archdsl.language.hints import ELSEWHERE
from archdsl.ops import OPS_BY_NAME

_POOL = r"[- ]?pool(?:ing)?(?:2d)?(?: layer)?"
_REWRITES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"[\u00d7\u2715\u2a09]", "x"),
        (r"[\u2010-\u2015\u2212]", "-"),
        (r"\b\d+ ?(?:\u2192|->) ?(\d+)", r"\1"),
        (r"\u2192|->|=>", " "),
        (r"['\"]", ""),
        (r"[(\[](\d{1,2}), ?(\d{1,2})[)\]]", r"\1x\2"),
        (r"(?<![\d.])(\d{1,2}) ?x ?(\d{1,2})(?= ?x ?\d{3,})", r"\1x\2"),
        (r"(?<![\dx.])(\d|1\d) x (\d|1\d)(?!\d)", r"\1x\2"),
        (r"\bglobal (?:average|avg|mean)" + _POOL, "gap"),
        (r"\bmax" + _POOL, "maxpool"),
        (r"\b(?:average|avg|ave|mean)" + _POOL, "avgpool"),
        (r"\bbatch[- ]?norm(?:ali[sz]ation)?\b", "bn"),
        (r"\bfully[- ]connected(?: layer)?\b|\bdense\b", "fc"),
        (r"\bsoft-max\b", "softmax"),
        (r"\bdrop-out\b", "dropout"),
        (r"\bleaky[- ]relu\b", "leaky_relu"),
        (r"\bdepth-?wise(?: separable)?(?: conv(?:olution)?)?\b", "dwconv"),
        (r"\btransposed? ?conv(?:olution)?\b|\bdeconvolution\b", "deconv"),
        (r"\bconv(?:2d|olution(?:al)?(?: layer)?)\b", "conv"),
        (r"\bconv(\d{1,2})x(\d{1,2})", r"\1x\2 conv"),
        (r"\bconv-?(\d{1,2})-(\d+)\b", r"\1x\1 conv \2"),
        (r"\bc(\d{1,2})s(\d)-(\d+)\b", r"\1x\1 conv \3 /\2"),
        (r"\bk(\d{1,2})n(\d+)s(\d)\b", r"\1x\1 conv \2 /\3"),
        (r"\b(\d+)c(\d{1,2})\b", r"\2x\2 conv \1"),
        (r"\bmp(\d)\b", r"\1x\1 maxpool"),
        (r"\b(\d+)@(\d{1,2})x(\d{1,2})\b", r"\2x\3 \1"),
        (r"\b(\d{1,2})x(\d{1,2})@(\d+)\b", r"\1x\2 \3"),
        (r"\b(\d{1,2})x(\d{1,2})x(\d{2,})\b", r"\1x\2 \3"),
        (r"\b(conv|fc)-?(\d+)\b", r"\1 \2"),
        (r"\b(\d+)-?d\b", r"\1"),
        (r"(\dx\d+)/(\d)", r"\1 /\2"),
        (r"\b([spk])(\d)\b", r"\1=\2"),
        (r"^(\d{1,2})\*(\d{1,2})\b", r"\1x\2"),
        (r"\b(stride|strides|pad|padding|kernel_size|groups|dilation)(?: of)? (\d+)", r"\1=\2"),
    )
)
_SPLIT = re.compile(r"(?:[\s,;:+|&()]|(?<=\w)-(?=[a-z\d]))+")
_FILLER = frozenset(
    "layer layers with filters filter kernels kernel units neurons channels maps then and followed by".split()
)
_WINDOW = re.compile(r"(\d{1,2})x(\d{1,2})")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass
class _Draft:
    """A node while its words are read."""

    op: str = ""
    window: tuple[int, int] | None = None
    numbers: list[Any] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)

    def set(self, name: str, item: Any) -> None:
        if name in self.fields:
            raise Unknown
        self.fields[name] = item

    @property
    def started(self) -> bool:
        return bool(self.op or self.window or self.numbers)


def read_words(text: str) -> tuple[list[Layer], str]:
    """Return the ops that a text in a loose notation stands for, and a note if a window is assumed. Raises Unknown."""
    written = frozenset(re.findall(r"[A-Za-z_]\w*", text))
    text = re.sub(r"(\d{1,2}) ?%(?! ?\w)", lambda match: str(int(match[1]) / 100), text.strip().lower())
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    if not text.isascii() or re.search(r"[+|&]\s*(?:[^a-z\s]|$)|\d\+\s", text):  # an expression
        raise Unknown
    drafts = [_Draft()]
    for word in filter(None, _SPLIT.split(text)):
        _add(drafts, word)
    values = [item for draft in drafts for item in (*draft.numbers, *draft.fields.values())]
    if any(isinstance(item, str) and not op_of(item) and item not in written for item in values):
        raise Unknown  # the name of an argument in capitals, which are lost here
    layers = [layer for draft in drafts for layer in _layers(draft)]
    assumed = next((op for op in (_without_window(draft) for draft in drafts) if op), "")
    return layers, f"; `{assumed}` needs a window: choose its size" if assumed else ""


def repeated(text: str) -> tuple[str, str, bool]:
    """Split `[3x3, 64; 3x3, 64] x 2` into its count, its body, and whether the body is in brackets."""
    text = text.strip().replace("\N{MULTIPLICATION SIGN}", "x")
    for pattern in (
        r"\[(?P<inner>.+)\]\s*[x*]\s*(?P<count>\d{1,3})",
        r"(?P<count>\d{1,3})\s*[x*]?\s*\[(?P<inner>.+)\]",
        r"\(?(?P<body>.+?)\)?\s+x\s*(?P<count>\d{1,3})",
        r"(?P<count>\d{1,3})\s?x?\s*\((?P<body>.+)\)",
        r"(?P<count>\d{1,3})\*\s?(?P<body>.+)",
        r"(?:x(?P<before>\d{1,3})|(?P<count>\d{1,3})x)\s+(?P<body>.+)",
    ):
        match = re.fullmatch(pattern, text)
        if match:
            groups = match.groupdict()
            return (
                groups["count"] or groups.get("before") or "",
                groups.get("inner") or groups.get("body", ""),
                "inner" in groups,
            )
    return "", text, False


def op_of(word: str) -> str:
    """Return the op that a word names in any tool; empty if none."""
    if word in OPS_BY_NAME:
        return word
    return ELSEWHERE.get(word.replace("_", ""), "")


def _add(drafts: list[_Draft], word: str) -> None:
    draft = drafts[-1]
    window = _WINDOW.fullmatch(word)
    key, equals, text = word.partition("=")
    op = op_of(word)
    if window:
        if draft.window or (draft.op and draft.numbers and draft.op != "conv"):
            draft = _next(drafts)
        draft.window = (int(window[1]), int(window[2]))
    elif word[0] == "/" and _NUMBER.fullmatch(word[1:]):
        draft.set("stride", value(word[1:]))
    elif _NUMBER.fullmatch(word):
        number = value(word)
        full = draft.op and not OPS_BY_NAME[draft.op].positional and (draft.window or number > 11)
        if full or (draft.op and draft.window and draft.numbers):
            draft = _next(drafts)
        draft.numbers.append(number)
    elif equals and text:
        draft.set(*_field(key, text))
    elif op and OPS_BY_NAME[op].role and draft.started and OPS_BY_NAME[op].role not in draft.fields:
        if OPS_BY_NAME[op].role == "norm" and "act" in draft.fields:
            raise Unknown
        draft.set(OPS_BY_NAME[op].role, op)
    elif op and OPS_BY_NAME[op].role and draft.started:
        raise Unknown
    elif op:
        if draft.op or (draft.started and "act" in draft.fields):
            draft = _next(drafts)
        draft.op = op
    elif word in ("valid", "same", "ceil", "nobias", "bias", "bilinear", "nearest", "adaptive", "inside"):
        draft.set(*_flag(draft, word))
    elif _is_argument(draft, word):
        draft.numbers.append(word)
    elif word not in _FILLER:
        raise Unknown


def _is_argument(draft: _Draft, word: str) -> bool:
    """Whether a word after an op may be the name of an argument: it resembles no word of the language."""
    if not draft.op or not OPS_BY_NAME[draft.op].positional or draft.numbers or word in _FILLER:
        return False
    known = (*OPS_BY_NAME, *ELSEWHERE, *OPS_BY_NAME[draft.op].flags, *OPS_BY_NAME[draft.op].model_fields)
    return re.fullmatch(r"[a-z_]\w*", word) is not None and closest(word, known) is None


def _next(drafts: list[_Draft]) -> _Draft:
    drafts.append(_Draft())
    return drafts[-1]


def _field(key: str, text: str) -> tuple[str, Any]:
    """The field that `filters=64` sets, and its value."""
    conv = Row("", "conv", (), {})
    name = field_of(key, conv)
    if name is None or not re.fullmatch(r"[\w.]+", text):
        raise Unknown
    item: Any = {"true": True, "false": False, "none": None}.get(text, value(text))
    return name, item


def _flag(draft: _Draft, word: str) -> tuple[str, Any]:
    setting = OPS_BY_NAME[draft.op or "conv"].flags.get(word)
    if setting is None:
        raise Unknown
    return setting


def _layers(draft: _Draft) -> list[Layer]:
    fields, numbers = dict(draft.fields), draft.numbers
    op = draft.op or ("conv" if draft.window and (numbers or "out" in fields) else "")
    if not op or (draft.window and "kernel" not in OPS_BY_NAME[op].model_fields):
        raise Unknown
    if draft.window:
        fields["kernel"] = draft.window
    elif "kernel" in OPS_BY_NAME[op].model_fields and "kernel" not in fields and op != "fc":
        numbers = _take_kernel(numbers, fields, OPS_BY_NAME[op].positional)
    for name in OPS_BY_NAME[op].positional:
        if numbers and name not in fields:
            fields[name], *numbers = numbers
    if op == "avgpool" and "kernel" not in fields and not numbers:
        op = "gap"
    if _without_window(draft) and "kernel" not in fields:
        fields["kernel"] = 2 if "pool" in op else 3
    if numbers:
        raise Unknown
    return [*convert(Row("", op, (), {}), (), fields).layers]


def _without_window(draft: _Draft) -> str:
    """The op of a draft if it needs a window that is not written."""
    known = draft.window or "kernel" in draft.fields or draft.op not in ("conv", "dwconv", "deconv", "maxpool")
    return "" if known or len(draft.numbers) > len(OPS_BY_NAME[draft.op].positional) else draft.op


def _take_kernel(numbers: list[Any], fields: dict[str, Any], positional: Collection[str]) -> list[Any]:
    """Take the window of an op from its numbers: `conv 3 64` and `maxpool 2`."""
    if len(numbers) == len(positional) + 1 and min(numbers) <= 11 and isinstance(min(numbers), int):
        fields["kernel"] = min(numbers)
        rest = list(numbers)
        rest.remove(min(numbers))
        return rest
    return numbers
