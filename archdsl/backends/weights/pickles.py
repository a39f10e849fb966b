"""Read a pickle as plain data. Nothing is imported and nothing is called, whatever the pickle says.

A pickle is a program for a small stack machine. This machine knows containers, numbers and texts. What a class or a
function of Python would make is a `Foreign`: its name, its arguments and its state. The few calls that stand for data,
such as those of a dictionary or of a tensor, are in a table that the caller passes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias

from archdsl.backends.weights.tensors import Broken

MAX_STEPS = 1_000_000
"""Opcodes of one pickle: a checkpoint of 10,000 tensors, with those of its optimizer, has some 400,000."""
MAX_COPIED = {"items": 1 << 22, "bytes": 1 << 28}
"""What all calls of one pickle may copy: it can call a function on the same large argument again and again."""
RUNS_CODE = frozenset(
    "os posix nt sys subprocess shutil socket runpy importlib ctypes pty code codeop webbrowser commands pip"
    " multiprocessing threading asyncio signal".split()
)
"""Modules that no data needs: a pickle that names one of them was made to harm."""
_RUNS_CODE = frozenset({"eval", "exec", "compile", "__import__", "open", "execfile", "input", "breakpoint"})


class Malformed(Broken):
    """The bytes are no pickle, or one that this machine does not run."""


class Harmful(Exception):
    """The pickle refers to a function that runs programs or code; the message is its name."""


@dataclass(eq=False, slots=True)
class Foreign:
    """What a class or function `name` of Python would make. `state` is the object's, `items` those of a container."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Global:
    """The name of a class or function. A class is not imported, a function never called."""

    name: str


Calls: TypeAlias = Mapping[str, Callable[..., Any]]
"""By name: functions of this package that make data of the arguments."""
_MARK = object()
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
_DATA = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES"
    " SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8".split()
)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PLAIN: Calls = {
    "collections.OrderedDict": lambda *pairs: _dict(*pairs),
    "collections.defaultdict": lambda *_: {},
    "collections.Counter": lambda *pairs: _dict(*pairs),
    "_codecs.encode": lambda text, *_: text.encode("latin1"),
    **{f"builtins.{name}": lambda *items: list(items[0]) if items else [] for name in ("set", "frozenset", "list")},
    "builtins.dict": lambda *pairs: _dict(*pairs),
}


def read_pickle(file: BinaryIO, calls: Calls, persistent: Callable[[Any], Any]) -> Any:
    """Return the data of the pickle at the file's position, and leave the position after it.

    `calls` makes data of some calls, `persistent` of a persistent id. Raises Malformed or Harmful.
    """
    machine = _Machine({**_PLAIN, **calls}, persistent)
    try:
        for count, (opcode, arg, _) in enumerate(pickletools.genops(file)):
            if count >= MAX_STEPS:
                raise Malformed(f"its pickle has more than {MAX_STEPS:,} steps")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, arg)
    except (Broken, Harmful):
        raise
    except Exception as failure:  # damaged pickles fail anywhere: an empty stack, a missing memo, a wrong type
        raise Malformed(f"its pickle is damaged ({type(failure).__name__})") from None
    raise Malformed("its pickle has no end")


def _dict(*pairs: Any) -> dict[Any, Any]:
    out: dict[Any, Any] = {}
    for key, value in pairs[0].items() if pairs and isinstance(pairs[0], dict) else pairs[0] if pairs else ():
        out[_key(key)] = value
    return out


def _key(key: Any) -> Any:
    """A key that is safe to hash: a tuple could be nested without end."""
    return key if isinstance(key, (str, int, float, bytes, type(None))) else Foreign("key", (key,))


class _Machine:
    def __init__(self, calls: Calls, persistent: Callable[[Any], Any]) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.calls, self.persistent = calls, persistent
        self.copied = dict.fromkeys(MAX_COPIED, 0)

    def step(self, name: str, arg: Any) -> None:
        stack = self.stack
        if name in _DATA:
            stack.append(arg)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if name == "MEMOIZE" else int(arg)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[int(arg)])
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
        else:
            _OTHERS[name](self, arg)  # a missing one is reported as damage

    def since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise Malformed("its pickle is damaged (no mark)")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def named(self, module: str, name: str) -> None:
        module = "builtins" if module == "__builtin__" else module  # its name in Python 2, as protocol 2 writes it
        if module.partition(".")[0] in RUNS_CODE or (module == "builtins" and name in _RUNS_CODE):
            raise Harmful(f"{module}.{name}")
        self.stack.append(Global(f"{module}.{name}"))

    def call(self, function: Any, args: Any) -> None:
        name = function.name if isinstance(function, (Global, Foreign)) else "?"
        args = args if isinstance(args, tuple) else (args,)
        known = self.calls.get(name) if isinstance(function, Global) else None
        for argument in args if known else ():
            if isinstance(argument, (bytes, bytearray)) and name not in _PLAIN:
                continue  # the values of a tensor, which are not copied
            kind = "bytes" if isinstance(argument, (str, bytes)) else "items"
            self.copied[kind] += len(argument) if hasattr(argument, "__len__") else 0
            if self.copied[kind] > MAX_COPIED[kind]:
                raise Malformed("its pickle copies too much")
        self.stack.append(known(*args) if known else Foreign(name, args))

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Foreign):
            target.items.update(enumerate(values, len(target.items)))

    def update(self, values: list[Any]) -> None:
        target = self.stack[-1]
        items = target.items if isinstance(target, Foreign) else target
        if isinstance(items, dict):
            items.update((_key(key), value) for key, value in zip(values[::2], values[1::2], strict=True))

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Foreign):
            self.stack[-1].state = state


def _pushed(make: Callable[[list[Any]], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(make(machine.since_mark()))


def _pops(count: int, use: Callable[..., Any]) -> Callable[[_Machine, Any], None]:
    """Takes values from the stack and passes them, in their order."""

    def step(machine: _Machine, _: Any) -> None:
        values = machine.stack[-count:]
        del machine.stack[-count:]
        use(machine, *values)

    return step


def _instance(machine: _Machine, arg: str) -> None:
    args = tuple(machine.since_mark())
    machine.named(*arg.split(" ", 1))
    machine.call(machine.stack.pop(), args)


def _object(machine: _Machine, _: Any) -> None:
    function, *args = machine.since_mark()
    machine.call(function, tuple(args))


_OTHERS: dict[str, Callable[[_Machine, Any], None]] = {
    "LIST": _pushed(list),
    "TUPLE": _pushed(tuple),
    "FROZENSET": _pushed(list),
    "DICT": _pushed(lambda values: _dict(list(zip(values[::2], values[1::2], strict=True)))),
    "APPEND": _pops(1, lambda machine, value: machine.extend([value])),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": _pops(2, lambda machine, key, value: machine.update([key, value])),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.since_mark().clear(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "GLOBAL": lambda machine, arg: machine.named(*arg.split(" ", 1)),
    "STACK_GLOBAL": _pops(2, lambda machine, module, name: machine.named(module, name)),
    "INST": _instance,
    "OBJ": _object,
    "REDUCE": _pops(2, lambda machine, function, args: machine.call(function, args)),
    "NEWOBJ": _pops(2, lambda machine, kind, args: machine.call(kind, args)),
    "NEWOBJ_EX": _pops(3, lambda machine, kind, args, more: machine.call(kind, (*args, more))),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": _pops(1, lambda machine, key: machine.stack.append(machine.persistent(key))),
    "PERSID": lambda machine, arg: machine.stack.append(machine.persistent(arg)),
}
