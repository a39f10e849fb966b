"""Reads loose notations, such as `conv3-64`, `64@5x5`, `7x7, 64, stride 2` or `3x3 conv 64 + relu`, word by word.

Each word must be understood: a window, a number, an op, a norm, an activation, a field. Otherwise nothing is proposed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from archdsl.axes import MOST
from archdsl.diagnostics import closest
from archdsl.language.foreign.calls import Call, Unknown
from archdsl.language.foreign.convert import convert, join
from archdsl.language.foreign.layers import Row, field_of, value
from archdsl.language.foreign.write import Answer, nodes_text
from archdsl.language.hints import ELSEWHERE, op_elsewhere
from archdsl.ops import OPS_BY_NAME

_ND = rf"[1-{MOST}]d"
_POOL = rf"[- ]?pool(?:ing)?(?:{_ND})?(?: layer)?"
_REWRITES = (
    (r"(?<![\w.])(\d{1,3}(?:x\d{1,3})*)(?=(?:dw|de)?conv|(?:max|avg|average)[- ]?pool)", r"\1 "),
    (r"/(\d),(\d)(?![\d,])", r"/\1x\2"),
    (r"/(\d),(\d),(\d)(?![\d,])", r"/\1x\2x\3"),
    (r"\b\d+ ?(?:\u2192|->) ?(\d+)", r"\1"),
    (r"\u2192|->|=>", " "),
    (r"['\"]", ""),
    (r"[(\[](\d{1,2}), ?(\d{1,2})[)\]]", r"\1x\2"),
    (r"[(\[](\d{1,2}), ?(\d{1,2}), ?(\d{1,2})[)\]]", r"\1x\2x\3"),
    (r"(?<![\dx.])(\d|1\d) x (\d|1\d)(?!\d)", r"\1x\2"),
    (r"\bglobal (?:average|avg|mean)" + _POOL, "gap"),
    (r"\bmax" + _POOL, "maxpool"),
    (r"\b(?:average|avg|ave|mean)" + _POOL, "avgpool"),
    (r"\bbatch[- ]?norm(?:ali[sz]ation)?\b", "bn"),
    (r"\bfully[- ]connected(?: layer)?\b|\bdense\b", "fc"),
    (r"\b(soft|drop)-(max|out)\b", r"\1\2"),
    (r"\bleaky[- ]relu\b", "leaky_relu"),
    (r"\bdepth-?wise(?: separable)?(?: conv(?:olution)?)?\b", "dwconv"),
    (r"\btransposed? ?conv(?:olution)?\b|\bdeconvolution\b", "deconv"),
    (rf"\bconv(?:{_ND}|olution(?:al)?(?: layer)?)\b", "conv"),
    (r"\bconv(\d{1,2}(?:x\d{1,2})+)", r"\1 conv"),
    (r"\bconv-?(\d{1,2})-(\d+)\b", r"\1x\1 conv \2"),
    (r"\bc(\d{1,2})s(\d)-(\d+)\b", r"\1x\1 conv \3 /\2"),
    (r"\b(\d+)c(\d{1,2})\b", r"\2x\2 conv \1"),
    (r"\bmp(\d)\b", r"\1x\1 maxpool"),
    (r"\bk(\d{1,2})n(\d+)s(\d)\b", r"\1x\1 conv \2 /\3"),
    (r"\b(\d+)@(\d{1,2}(?:x\d{1,2})+)\b", r"\2 \1"),
    (r"\b(\d+)@(\d{1,2})\b", r"\1 kernel=\2"),
    (r"(\dx\d{1,2})@", r"\1 "),
    (r"\b(\d{1,2})x(\d{1,2})x(\d{2,})\b", r"\1x\2 \3"),
    (r"\b(conv|fc)-?(\d+)\b", r"\1 \2"),
    (r"\b(\d+)-?d\b", r"\1"),
    (r"(\dx\d+)/(\d)", r"\1 /\2"),
    (r"\b([spk])(\d)\b", r"\1=\2"),
    (r"\b(stride|strides|pad|padding|kernel_size|groups|dilation)(?: of)? (\d+)", r"\1=\2"),
)
_SPLIT = re.compile(r"(?:[\s,;:+|&()]|(?<=\w)-(?=[a-z\d]))+")
_FILLER = frozenset(
    "layer layers with filters filter kernels kernel units neurons channels maps then and followed by".split()
)
_FLAGS = {word: setting for op in OPS_BY_NAME.values() for word, setting in op.flags.items() if word not in _FILLER}
_CONV = Row("", "conv", "conv", (), {})
_PER_AXIS = re.compile(rf"\d{{1,2}}(x\d{{1,2}}){{1,{MOST - 1}}}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_REPEATED = (
    r"\[(?P<rows>.+)\]\s*[x*]\s*(?P<count>\d{1,3})",
    r"(?P<count>\d{1,3})\s*[x*]?\s*\[(?P<rows>.+)\]",
    r"\(?(?P<body>.+?)\)?\s+x\s*(?P<count>\d{1,3})",
    r"(?=x|\d+[x*]|\d+ x ?\()x?(?P<count>\d{1,3}) ?(?:x ?(?=\()|\*(?!\d+ )|[x*]?\s)\s*(?P<body>.+)",
)


def answer_words(text: str, axes: int = 0) -> Answer:
    """Return the answer to a text in a loose notation. `axes`: those of the network, or 0. Raises Unknown."""
    counted = re.fullmatch(r"(\d{1,3})\*(\d{1,3} +[A-Za-z].*)", text.strip(), re.DOTALL)
    if counted and axes == 1:  # a window of a signal is one number
        answer = answer_words(counted[2], axes)
        if answer.write.startswith("["):
            raise Unknown
        return answer._replace(write=f"{counted[1]} * {answer.write}")
    called = re.fullmatch(r"\w+\((.*)\)", text.strip(), re.DOTALL)
    if called and not _FILLER.isdisjoint(re.findall(r"[^\W\d]\w*", called[1])):
        raise Unknown  # the name of a block or of an argument
    text, repeat = _factors(text.strip(), axes)
    text = re.sub(r"\b(upsampl\w+) (?:x ?(\d)|(\d)x)$", r"\1 \2\3", text, flags=re.IGNORECASE)
    chain = re.fullmatch(r"((?:[A-Za-z_]\w*\()+)([^()]*)\)+", text)
    if chain:  # `relu(bn(conv(64)))`
        first, *outer = reversed(chain[1].rstrip("(").split("("))
        text = " ".join([f"{first}({chain[2]})", *outer])
    elif re.search(r"\w\([^()]*\w\(", text):
        raise Unknown
    match = next((match for pattern in _REPEATED if (match := re.fullmatch(pattern, text))), None)
    groups = match.groupdict() if match else {"body": text}
    count, brackets = groups.get("count", ""), groups.get("rows", "")
    rows = [row for row in re.split(r"[;\n]|\],?\s*\[", brackets) if row.strip()] if brackets else [groups["body"]]
    drafts = [draft for row in rows for draft in _drafts(row, axes)]
    layers = join([convert(draft.call()) for draft in drafts]).layers
    ranked = re.search(rf"[a-z]{_ND}\b", text.lower())
    every = re.search(r"\bkernel=\d+(?!\S)", text)  # a field of ours, for any number of axes
    node = nodes_text(layers, 0 if every else int(ranked[0][1]) if ranked else axes)
    note = next((f"; `{draft.op}` needs a window: choose its size" for draft in drafts if draft.lacks_window()), "")
    if axes != 1 and re.match(r"\d+ (?!x )[a-z]", rows[0]):
        note += f"; a repeat is `{rows[0].split()[0]} * ...`"
    if len(layers) > 1 and not brackets:
        note += "; only a norm and an activation can follow an op"
    if count and len(rows) > 1:
        node = f"{{residual: {node}, repeat: {count}}}"
    elif count:
        node = f"{count} * {node}" if len(layers) == 1 else f"{{do: {node}, repeat: {count}}}"
    return Answer(node, note=note + repeat)


def _factors(text: str, axes: int) -> tuple[str, str]:
    """The text with the window `3*3*3` as `3x3x3`, and a note if it may be a repeat."""
    match = re.match(rf"(\d{{1,3}}(?:\*\d{{1,3}}){{1,{MOST}}})(?=\s+[a-z])", text, re.IGNORECASE)
    if match is None:
        return text, ""
    factors = match[1].split("*")
    unclear = axes and len(factors) != axes and len(set(factors)) == 1
    note = f"; a repeat is `{factors[0]} * ...`" if unclear else ""
    return f"{'x'.join(factors)}{text[match.end() :]}", note


def op_of(word: str) -> str:
    """Return the op that a word names in any tool; empty if none."""
    return word if word in OPS_BY_NAME else op_elsewhere(word)


@dataclass
class _Draft:
    """A node while its words are read. `axes`: those of the network, or 0."""

    axes: int = 0
    op: str = ""
    numbers: list[Any] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    first: bool = False
    """Whether a number comes before the op."""

    def set(self, name: str, item: Any) -> None:
        if name in self.fields:
            raise Unknown
        self.fields[name] = item

    def lacks_window(self) -> bool:
        if "kernel" in self.fields or self.op not in ("conv", "dwconv", "deconv", "maxpool"):
            return False
        return len(self.numbers) <= len(OPS_BY_NAME[self.op].positional)

    def call(self) -> Call:
        """Return the draft as a call of its op. Raises Unknown."""
        if not self.op and ("out" in self.fields or ("kernel" in self.fields and self.numbers)):
            self.op = "conv"
        op, numbers, fields = self.op, self.numbers, dict(self.fields)
        if not op or (op == "fc" and len(numbers) > 1):
            raise Unknown
        if self.lacks_window():
            fields["kernel"] = 2 if "pool" in op else 3
        if op == "avgpool" and "kernel" not in fields and not numbers:
            op = "gap"
        if len(numbers) == 2 and "kernel" in OPS_BY_NAME[op].model_fields:
            if (
                self.axes == 1 and self.first and "kernel" not in fields
            ):  # `15 conv8`: the window of a signal comes before its op
                fields["kernel"], numbers = (numbers[0],), numbers[1:]
            else:  # `conv 3 64`
                numbers = sorted(numbers, reverse=True)
        return Call(op, tuple(numbers), fields)


def _drafts(text: str, axes: int) -> list[_Draft]:
    """The nodes of a row of words, each of which is understood."""
    written = frozenset(re.findall(r"[A-Za-z_]\w*", text))
    text = re.sub(r"(\d{1,2}) ?%(?! ?\w)", lambda match: str(int(match[1]) / 100), text.strip().lower())
    for pattern, new in _REWRITES:
        text = re.sub(pattern, new, text)
    if not text.isascii() or re.search(r"[+|&]\s*(?:[^a-z\s]|$)|\d\+\s", text):  # an expression
        raise Unknown
    drafts = [_Draft(axes)]
    for word in filter(None, _SPLIT.split(text)):
        _add(drafts, word)
    values = [item for draft in drafts for item in (*draft.numbers, *draft.fields.values())]
    if any(isinstance(item, str) and not op_of(item) and item not in written for item in values):
        raise Unknown  # the name of an argument in capitals, which are lost here
    return drafts


def _add(drafts: list[_Draft], word: str) -> None:
    draft, op = drafts[-1], op_of(word)
    window = _PER_AXIS.fullmatch(word)
    key, _, text = word.partition("=")
    role = OPS_BY_NAME[op].role if op else None
    started = bool(draft.op or draft.numbers or "kernel" in draft.fields)
    if window:
        if "kernel" in draft.fields or (draft.op and draft.numbers and draft.op != "conv"):
            drafts.append(draft := _Draft(draft.axes))
        draft.set("kernel", _numbers(word))
    elif word[0] == "/" and (_NUMBER.fullmatch(word[1:]) or _PER_AXIS.fullmatch(word[1:])):
        draft.set("stride", _numbers(word[1:]))
    elif _NUMBER.fullmatch(word):
        _add_number(drafts, value(word))
    elif text:
        name = field_of(key, _CONV)
        if name is None or not re.fullmatch(r"[\w.]+", text):
            raise Unknown
        draft.set(name, _numbers(text) if name == "stride" else value(text))
    elif role and started:
        if role == "norm" and "act" in draft.fields:
            raise Unknown
        draft.set(role, op)
    elif op:
        if draft.op or (started and "act" in draft.fields):
            drafts.append(draft := _Draft(draft.axes))
        draft.op, draft.first = op, bool(draft.numbers)
    elif word in _FLAGS:
        draft.set(*_FLAGS[word])
    elif word not in _FILLER:
        _add_argument(draft, word)


def _numbers(text: str) -> Any:
    """The value of a word; of `1x2x2`, one number for each axis."""
    return tuple(map(int, text.split("x"))) if _PER_AXIS.fullmatch(text) else value(text)


def _add_number(drafts: list[_Draft], number: Any) -> None:
    draft = drafts[-1]
    act, has_window = draft.fields.get("act"), "kernel" in draft.fields
    if number < 1 and act in OPS_BY_NAME and OPS_BY_NAME[act].positional:  # `leakyrelu(0.1)`
        draft.fields["act"] = Call(act, (number,))
        return
    full = draft.op and not OPS_BY_NAME[draft.op].positional and (has_window or number > 11)
    if full or (draft.op and has_window and draft.numbers):
        drafts.append(draft := _Draft(draft.axes))
    draft.numbers.append(number)


def _add_argument(draft: _Draft, word: str) -> None:
    """Add a word that may be the name of an argument: it follows an op and resembles no word of the language."""
    if not draft.op or not OPS_BY_NAME[draft.op].positional or draft.numbers:
        raise Unknown
    known = (*OPS_BY_NAME, *ELSEWHERE, *OPS_BY_NAME[draft.op].flags, *OPS_BY_NAME[draft.op].model_fields)
    if not re.fullmatch(r"[a-z_]\w*", word) or closest(word, known) is not None:
        raise Unknown
    draft.numbers.append(word)
