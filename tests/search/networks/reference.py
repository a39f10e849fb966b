"""The language's long form run straight in torch: a second opinion on what a spec means. Imports nothing of archdsl.

Expressions are Python's (`in` renamed), tensors are taken one after the other in the order of the state_dict, in
float64. With `noise` every op's value is changed by what rounding to float32 could do to it, at random: how far outputs
then stray is how far an implementation in float32 may stray (Monte Carlo arithmetic: Parker 1997; sums of n terms:
sqrt(n) * u * sum of their sizes, Higham and Mary 2019).
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tests.ops.cases import KINDS, POSITIONAL
from tests.search.networks.grids import between, grid
from tests.search.networks.kinds import Unsound, axes_of, plausible

UNIT = 2.0**-24
"""Half a unit in the last place of a float32 near 1."""
HALF = 2.0**-11
"""The same of a number in half precision."""
TINY = 2.0**-24
"""The smallest number of half precision."""
HEADS = ("op", "call", "do", "residual", "inception", "branches", "dense")
PAIRS = ("sub", "div")
MERGES = ("add", "mul", "maximum", "minimum", "concat", *PAIRS)
LIKE = ("like",)
"""Fields that name a node, whose sizes matter."""
ABOUT = ("op", "norm", "act", "repeat", "as", "from", "when", "then", "doc", *LIKE)


class Misfit(Exception):
    """A tensor is wanted that the graph does not have at this place, or in this shape."""


def _divisible(x: float, divisor: int) -> int:
    nearest = max(divisor, int(x + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * x else nearest


FUNCTIONS = {
    "min": min,
    "max": max,
    "round": round,
    "ceil": math.ceil,
    "floor": math.floor,
    "int": int,
    "sum": sum,
    "len": len,
    "abs": abs,
    "divisible": _divisible,
    "__builtins__": {},
}


class Word(str):
    """A name that is a function where it is called: `max`."""

    def __call__(self, *args: Any) -> Any:
        return FUNCTIONS[self](*args)  # type: ignore[operator]


_MODES = ("nearest", "linear", "cubic", "reflect", "replicate", "wrap")
_NAMES = {*KINDS, *_MODES, "same", "valid", "split", "pad", "channels", "space"}
WORDS: dict[str, Any] = {word: Word(word) if word in FUNCTIONS else word for word in _NAMES} | {
    "none": None,
    "true": True,
    "false": False,
}
_CODE: dict[str, Any] = {}


def compiled(text: str) -> Any:
    if text not in _CODE:
        _CODE[text] = compile(re.sub(r"\bin\b", "in_", text), text, "eval")
    return _CODE[text]


def value_of(written: Any, env: Mapping[str, Any]) -> Any:
    """An evaluated field. A computed number that came out whole is whole."""
    if isinstance(written, list):
        return [value_of(item, env) for item in written]
    if not isinstance(written, str):
        return written
    try:
        value = eval(compiled(written), FUNCTIONS, env)
    except (NameError, SyntaxError):
        raise Unsound("E0304", torch=True) from None
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        raise Unsound("E0305", torch=True) from None
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(eq=False)
class Member:
    """What a name stands for: a value (None: several), and what is inside."""

    value: Any
    inner: dict[str, Member] = field(default_factory=dict)
    ran: tuple[str, Any, list[Any]] | None = None
    """Of an op that may run again: its kind, fields and tensors; of a block, no kind, how it ran, and its tensors."""


@dataclass(eq=False)
class Frame:
    """The names that a node can read."""

    parent: Frame | None = None
    names: dict[str, Member] = field(default_factory=dict)

    def look_up(self, reference: str) -> Any:
        member = self.find(reference)
        if member.value is None:
            raise Unsound("E0421", torch=True)
        return member.value

    def find(self, reference: str) -> Member:
        first, *rest = str(reference).split(".")
        frame: Frame | None = self
        while frame is not None and first not in frame.names:
            frame = frame.parent
        if frame is None:
            raise Unsound("E0410", torch=True)
        member = frame.names[first]
        for name in rest:
            if name not in member.inner:
                raise Unsound("E0410", torch=True)
            member = member.inner[name]
        return member


Take = Callable[[str, tuple[int, ...]], Any]


@dataclass(eq=False)
class Machine:
    """Runs the data of one document. `tensors` gives (name, shape) -> tensor; without it all are zero."""

    doc: Mapping[str, Any]
    tensors: Take | None = None
    noise: torch.Generator | None = None
    variant: Mapping[str, Any] = field(default_factory=dict)
    seen: Callable[[Any, Any], None] | None = None
    """Told of each node's data and what it receives."""
    unit: float = UNIT
    """The relative rounding error of one number, for noise."""
    spent: Callable[[], int] | None = None
    """The operations so far by a counter of the caller: each op that has some notes them in `costs`, with its output,
    which has a gradient where an output depends on it."""
    settled: list[Any] | None = None
    """The strides of the projections, residual by residual (None: no projection), where another size has settled
    them."""

    def __post_init__(self) -> None:
        self.args = {**WORDS, **{name: name for name in map(block_name, self.doc.get("blocks", {}))}}
        self.args |= {**self.doc.get("args", {}), **self.variant}
        self.defaults: Mapping[str, Any] = self.doc.get("defaults", {})
        self.blocks = {block_name(head): (head, body) for head, body in self.doc.get("blocks", {}).items()}
        self.exact = self.noise is None
        self.macs, self.trained = 0, 0
        self.costs: list[tuple[Any, int]] = []
        self.trunk = (0, 0)
        """How many of the costs, and how much of what is trained, are not of auxiliary heads."""
        self.strides: list[Any] = []
        self.channels: list[int] = []
        """The channels that each op receives."""
        self.largest = 0.0
        self.taken: list[Any] = []
        self.again: list[Any] = []
        """The tensors that an op which runs again takes, in place of new ones."""
        self.block: list[Any] | None = None
        """The tensors of a block that runs again."""

    # --- what kinds ask for ------------------------------------------------------------------------------

    def take(self, name: str, shape: tuple[int, ...], fixed: Any = None) -> Any:
        """The next tensor; `fixed` are the numbers it must hold, as they are written."""
        if self.again:
            known = self.again.pop(0)
            if known.shape != shape:
                raise Unsound("E0423", torch=True)
            return known
        if self.block is not None:
            if not self.block or self.block[0].shape != shape:
                raise Unsound("E0423", torch=True)
            return self.block.pop(0)
        if self.tensors is None:
            trained = fixed is None and not name.startswith(("running", "num_"))
            self.taken.append(torch.zeros(shape, dtype=torch.float64, requires_grad=trained and self.spent is not None))
            self.trained += self.taken[-1].numel() if trained else 0
            return self.taken[-1]
        found = self.tensors(name, shape).double()
        if fixed is not None:
            wanted = torch.as_tensor(fixed, dtype=torch.float32).double().expand(shape)
            if not torch.equal(found, wanted):
                raise Misfit(f"`{name}` does not hold the numbers that are written")
        self.taken.append(found)
        return found

    def rounded(self, value: Any, magnitude: Any, terms: float) -> Any:
        """The value, with noise where that is wanted: as much as rounding a sum of so many terms may do."""
        if self.noise is None:
            return value
        size = value.abs() if magnitude is None else magnitude
        signs = torch.randint(0, 2, value.shape, generator=self.noise).double() * 2 - 1
        return value + signs * (self.unit * math.sqrt(terms) * size + (TINY if self.unit == HALF else 0.0))

    # --- a document --------------------------------------------------------------------------------------

    def run(self, inputs: Mapping[str, Any], heads: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
        """The outputs and the auxiliary heads' outputs by name; without `heads`, those of inference only."""
        for x in inputs.values():
            grid(x)
        lone = next(iter(inputs.values())) if len(inputs) == 1 else None
        top = Frame(None, {**{k: Member(v) for k, v in inputs.items()}, "input": Member(lone)})
        made = self.item(self.doc["net"], lone, top, self.args)
        if made is None or made.value is None:
            raise Unsound("E0422", torch=True)
        top.names |= made.inner
        outputs = self.doc.get("outputs")
        wanted = {"output": made.value} if outputs is None else {k: top.look_up(v) for k, v in outputs.items()}
        aux, self.trunk = {}, (len(self.costs), self.trained)
        for name, head in self.doc.get("aux", {}).items() if heads else ():
            given = self.item(head["do"], top.look_up(head["from"]), top, self.args)
            if given is not None:  # else `when` leaves out all of it
                aux[name] = given.value
        return wanted, aux

    def item(self, data: Any, x: Any, frame: Frame, env: Mapping[str, Any]) -> Member | None:
        """One node; None where `when` left it out, or all that it holds."""
        taken, strides, channels = len(self.taken), len(self.strides), len(self.channels)
        member = self.one(data, x, frame, env)
        if member is not None and member.ran is None and len(self.taken) > taken and self.block is None:
            kept = {k: v for k, v in data.items() if k not in ("from", "when")} if isinstance(data, dict) else data
            met = self.strides[strides:], self.channels[channels:]
            member.ran = "", (kept, frame, dict(env), *met), self.taken[taken:]
        return member

    def block_again(self, ran: Any, inputs: list[Any]) -> Member:
        """A block once more, with the tensors of its first run, on other inputs."""
        _, (data, frame, env, strides, channels), tensors = ran
        start, before, around = len(self.strides), len(self.channels), self.block
        self.block = list(tensors)
        try:
            if len(inputs) > 1:
                if not isinstance(data, dict) or "call" not in data:
                    raise Unsound("E0414", torch=True)
                member = self.single(data, inputs, frame, env)
            else:
                member = self.one(data, inputs[0], frame, env)
            left = self.block
        finally:
            self.block = around
        if member is None or left or [s is None for s in self.strides[start:]] != [s is None for s in strides]:
            raise Unsound("E0423", torch=True)
        if self.channels[before:] != channels:  # a module keeps what it sliced
            raise Unsound("E0423", torch=True)
        return Member(member.value, member.inner, ran)

    def one(self, data: Any, x: Any, frame: Frame, env: Mapping[str, Any]) -> Member | None:
        if isinstance(data, list) or not any(head in data for head in HEADS):
            return self.sequence(data, x, frame, env)
        sources = data.get("from")
        inputs = (
            [x] if sources is None else [frame.look_up(s) for s in ([sources] if isinstance(sources, str) else sources)]
        )
        if "repeat" not in data or "dense" in data:
            return self.single(data, inputs, frame, env)
        count, given, inner = value_of(data["repeat"], env), None, {}
        for k in range(count):
            copy = {**env, "i": k, "first": k == 0, "last": k == count - 1}
            made = self.single(data, inputs if given is None else [given.value], frame, copy)
            if made is not None:
                given = inner[copy_name(data.get("as"), k)] = made
        return None if given is None else Member(given.value, inner)

    def single(self, data: Mapping[str, Any], inputs: list[Any], frame: Frame, env: Mapping[str, Any]) -> Member | None:
        x = inputs[0]
        env = {**env, "in_": x.shape[1]} if x is not None else env
        if "when" in data and not value_of(data["when"], env):
            return None
        if self.seen is not None:
            self.seen(data, inputs)
        if "op" in data:
            return self.op(data, inputs, env, frame)
        if "call" in data:
            return self.call(data["call"], inputs, frame, env)
        if x is None:
            raise Unsound("E0421", torch=True)
        if len(inputs) > 1:
            raise Unsound("E0414", torch=True)
        given = self.composite(data, x, frame, env)
        if given is None or data.get("then") is None:
            return given
        then = self.item(data["then"], given.value, frame, env)
        return given if then is None else Member(then.value, {**given.inner, **then.inner})

    def composite(self, data: Mapping[str, Any], x: Any, frame: Frame, env: Mapping[str, Any]) -> Member | None:
        if "do" in data:
            return self.item(data["do"], x, frame, env)
        if "residual" in data:
            return self.residual(data, x, frame, env)
        return self.dense(data, x, frame, env) if "dense" in data else self.branches(data, x, frame, env)

    def sequence(self, data: Any, x: Any, frame: Frame, env: Mapping[str, Any]) -> Member | None:
        inside, last, inner = Frame(frame), None, {}
        entries = enumerate(data) if isinstance(data, list) else data.items()
        for key, child in entries:
            given = self.item(child, x, inside, env)
            name = str(key).removeprefix(".")
            if given is None:
                sources = child.get("from") if isinstance(child, dict) else None
                if isinstance(sources, list) and len(sources) > 1:  # its inputs stand for a merge
                    x = None
                    continue
                given = Member(
                    x if sources is None else inside.look_up(sources if isinstance(sources, str) else sources[0])
                )
            else:
                last = inner[name] = given
            x = given.value
            if not isinstance(data, list):
                inside.names[name] = given
        return None if last is None else Member(x, inner)

    # --- composites --------------------------------------------------------------------------------------

    def residual(self, data: Mapping[str, Any], x: Any, frame: Frame, env: Mapping[str, Any]) -> Member | None:
        body = self.item(data["residual"], x, frame, env)
        if body is None:
            return None
        y, before = body.value, body.value.shape
        factor = data.get("scale")
        if factor is not None and value_of(factor, {**env, "in_": y.shape[1]}) != 1:
            y = KINDS["affine"].run(self, y, {"mul": float(value_of(factor, {**env, "in_": y.shape[1]}))})
        short, shortcut = x, data.get("shortcut")
        number = len(self.strides)
        differ = x.shape[1:] != before[1:] if self.settled is None else self.settled[number] is not None
        self.strides.append(() if differ else None)
        if shortcut == "none" or (differ and shortcut == "if_same_shape"):
            return Member(y, body.inner)
        if differ:
            short = self.shortcut(shortcut, x, y, before, number, frame, env)
        return Member(self.measured(KINDS["add"].run(self, [y, short], {})), body.inner)

    def shortcut(
        self, written: Any, x: Any, y: Any, wanted: Any, number: int, frame: Frame, env: Mapping[str, Any]
    ) -> Any:
        if written not in (None, "project", "pad"):
            given = self.item(written, x, frame, env)
            return x if given is None else given.value
        if len(wanted) != x.dim() or not axes_of(x):
            raise Unsound("E0415")
        strides: Any = between(x, y)
        if self.settled is None:
            sizes = [*zip(x.shape[2:], wanted[2:], strict=True)]
            some = all(any((big - 1) // s + 1 == small for s in range(1, big + 1)) for big, small in sizes)
            if strides is None or any(
                (big - 1) // s + 1 != small for (big, small), s in zip(sizes, strides, strict=True)
            ):
                raise Unsound("E0415", torch=not some)
            if any(s.denominator > 1 for s in strides):
                raise Unsound("E0415", torch=not some)
            strides = [int(s) for s in strides]
        strides = strides if self.settled is None else self.settled[number]
        self.strides[number] = strides
        if written != "pad":
            node = {"op": "conv", "out": wanted[1], "kernel": 1, "stride": strides, "act": "none"}
            return self.op(node, [x], env).value
        if x.shape[1] > wanted[1]:
            raise Unsound("E0415")
        x = x[(slice(None), slice(None), *(slice(None, None, stride) for stride in strides))]
        return torch.cat([x, torch.zeros(x.shape[0], wanted[1] - x.shape[1], *x.shape[2:], dtype=x.dtype)], 1)

    def branches(self, data: Mapping[str, Any], x: Any, frame: Frame, env: Mapping[str, Any]) -> Member | None:
        written = data.get("inception", data.get("branches"))
        entries: Sequence[Any] = list(enumerate(written)) if isinstance(written, list) else list(written.items())
        sources, inner, given = [x] * len(entries), {}, []
        if data.get("split") is not None:
            parts = value_of(data["split"], env)
            if parts != len(entries):
                raise Unsound("E0308", torch=True)
            if x.shape[1] % parts:
                raise Unsound("E0403", torch=True)
            sources = self.parts(x, parts)
        inside = Frame(frame)
        for (key, child), source in zip(entries, sources, strict=True):
            made = self.item(child, source, inside, env)
            if made is not None:
                given.append(made.value)
                inner[str(key)] = made
        if any(value is None for value in given):
            raise Unsound("E0421", torch=True)
        if len(given) < 2:
            return Member(given[0], inner) if given else None
        merge = value_of(data.get("merge", "concat"), env)
        return Member(self.measured(KINDS[merge].run(self, given, {})), inner)

    def parts(self, x: Any, count: int) -> Any:
        found = x.split(x.shape[1] // count, 1)
        for part in found if axes_of(x) else ():
            part.grid = grid(x)
        return found

    def dense(self, data: Mapping[str, Any], x: Any, frame: Frame, env: Mapping[str, Any]) -> Member | None:
        count, given, inner = value_of(data["repeat"], env), None, {}
        for k in range(count):
            copy = {**env, "i": k, "first": k == 0, "last": k == count - 1}
            made = self.item(data["dense"], x, frame, copy)
            if made is not None:
                if made.value is None:
                    raise Unsound("E0421", torch=True)
                x = given = KINDS["concat"].run(self, [x, made.value], {})
                inner[copy_name(data.get("as"), k)] = made
        return None if given is None else Member(given, inner)

    # --- ops and calls -----------------------------------------------------------------------------------

    def op(self, data: Mapping[str, Any], inputs: list[Any], env: Mapping[str, Any], frame: Frame = Frame()) -> Member:
        kind = data["op"]
        if any(x is None for x in inputs):
            raise Unsound("E0421", torch=True)
        if kind not in KINDS and kind not in ("split", "again"):
            raise Unsound("E0301", torch=True)
        if (
            (len(inputs) < 2)
            if kind in {*MERGES} - {*PAIRS}
            else (kind != "again" and len(inputs) != (2 if kind in PAIRS else 1))
        ):
            raise Unsound("E0414", torch=True)
        env = {**env, "in_": inputs[0].shape[1]}
        self.channels.append(inputs[0].shape[1])
        under = self.under(kind)
        norm, act = (self.part(data.get(role, under.get(role)), env) for role in ("norm", "act"))
        fields = {k: value_of(v, env) for k, v in {**under, **data}.items() if k not in ABOUT and kind != "again"}
        fields |= {k: frame.look_up(data[k]) for k in LIKE if k in data}
        plausible(fields)
        if kind in ("conv", "dwconv", "deconv", "fc"):
            fields.setdefault("bias", norm is None)
        x = inputs if kind in MERGES else inputs[0]
        if kind == "split":
            if x.shape[1] % fields["parts"]:
                raise Unsound("E0403", torch=True)
            parts = self.parts(x, fields["parts"])
            return Member(None, {str(n): Member(part) for n, part in enumerate(parts)})
        if kind == "again":
            first = frame.find(data["node"]).ran
            if first is None:
                raise Unsound("E0419", torch=True)
            written = first[1][0] if not first[0] else None
            if isinstance(written, dict) and written.get("op") == "again":  # with a norm: no module has both
                raise Unsound("E0420", torch=True)
            if not first[0]:
                if norm is not None or act is not None:
                    raise Unsound("E0420", torch=True)
                return self.block_again(first, inputs)
            kind, fields, self.again = first[0], first[1], list(first[2])
        start, before = len(self.taken), self.macs + self.spent() // 2 if self.spent is not None else 0
        try:
            x = KINDS[kind].run(self, x, fields)
        finally:
            self.again = []
        if self.spent is not None and self.macs + self.spent() // 2 > before:
            x.retain_grad()
            self.costs.append((x, self.macs + self.spent() // 2 - before))
        alone = norm is None or (self.defaults.get("naming") == "sibling" and data["op"] != "again")
        ran = (kind, fields, self.taken[start:]) if alone and len(self.taken) > start else None
        for part in (norm, act):
            if part is not None:
                x = KINDS[part[0]].run(self, x, part[1])
        return Member(self.measured(x), ran=ran)

    def measured(self, x: Any) -> Any:
        """Return a value, after a note of how large it is."""
        if not self.exact or self.tensors is not None:
            self.largest = max(self.largest, float(x.abs().max()))
        return x

    def under(self, kind: str) -> dict[str, Any]:
        """The file's defaults of a kind; dwconv and deconv take conv's where they have such a field."""
        own = self.defaults.get(kind, {})
        return {**self.defaults.get("conv", {}), **own} if kind in ("dwconv", "deconv") else dict(own)

    def part(self, written: Any, env: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        if written is None:
            return None
        word = written["op"] if isinstance(written, dict) else written
        kind = value_of(word, env)
        if kind is None:
            return None
        own = {k: v for k, v in written.items() if k != "op"} if isinstance(written, dict) else {}
        fields = {**{k: v for k, v in self.defaults.get(kind, {}).items() if k not in ABOUT}, **own}
        return kind, {k: value_of(v, env) for k, v in fields.items()}

    def call(self, text: str, inputs: list[Any], frame: Frame, env: Mapping[str, Any]) -> Member | None:
        name, positional, named = arguments(text, env)
        name = name if name in self.blocks or name in KINDS else env.get(name, name)
        if name in KINDS:
            fields = {**dict(zip(POSITIONAL.get(name, ()), positional, strict=False)), **named}
            return self.op({"op": name, **fields}, inputs, env)
        if name not in self.blocks:
            raise Unsound("E0301", torch=True)
        head, body = self.blocks[name]
        params, wanted = signature(head)
        if len(inputs) != max(len(wanted), 1):
            raise Unsound("E0414", torch=True)
        if len(positional) > len(params) or set(named) - {p for p, _ in params[len(positional) :]}:
            raise Unsound("E0307", torch=True)
        values = {p: v for (p, _), v in zip(params, positional, strict=False)} | named
        file_env = {**self.args, **({"in_": inputs[0].shape[1]} if inputs[0] is not None else {})}
        for param, default in params:
            if param not in values:
                if default is None:
                    raise Unsound("E0307", torch=True)
                values[param] = value_of(default, {**file_env, **values})
        inside = Frame(
            None, {n: Member(x) for n, x in zip(wanted, inputs, strict=False)} | {"input": Member(inputs[0])}
        )
        return self.item(body, inputs[0], inside, {**self.args, **values})


def copy_name(pattern: str | None, k: int) -> str:
    return str(k) if pattern is None else re.sub(r"\{(\d+)\}", lambda found: str(int(found[1]) + k), pattern)


def block_name(head: str) -> str:
    return re.split(r"[\s(<]", head, maxsplit=1)[0]


def signature(head: str) -> tuple[list[tuple[str, str | None]], list[str]]:
    """`f(a, b=2) <- x, y`: arguments with their defaults, and inputs."""
    call, _, inputs = head.partition("<-")
    tree = ast.parse(f"def {call.strip() if '(' in call else call.strip() + '()'}: pass".replace("=in", "=in_")).body[0]
    assert isinstance(tree, ast.FunctionDef)
    names = [a.arg for a in tree.args.args]
    defaults = [None] * (len(names) - len(tree.args.defaults)) + [ast.unparse(d) for d in tree.args.defaults]
    return list(zip(names, defaults, strict=True)), [name.strip() for name in inputs.split(",") if name.strip()]


def arguments(text: str, env: Mapping[str, Any]) -> tuple[str, list[Any], dict[str, Any]]:
    """`f(1, *rows[i], s=2)`: the name, and the values of its arguments."""
    tree = ast.parse(re.sub(r"\bin\b", "in_", text), mode="eval").body
    if isinstance(tree, ast.Name):
        return tree.id, [], {}
    assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)
    positional: list[Any] = []
    for arg in tree.args:
        value = value_of(ast.unparse(arg.value if isinstance(arg, ast.Starred) else arg), env)
        positional += value if isinstance(arg, ast.Starred) else [value]
    return tree.func.id, positional, {str(k.arg): value_of(ast.unparse(k.value), env) for k in tree.keywords}


def blank(shape: Sequence[int], batch: int = 1) -> Any:
    return torch.zeros(batch, *shape, dtype=torch.float64)


__all__ = ["Frame", "Machine", "Member", "Misfit", "Unsound", "blank"]
