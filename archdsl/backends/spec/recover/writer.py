"""Writes modules as layouts of a spec, with holes for the key of a template, or with values and expressions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archdsl.backends.spec.recover.fields import MISSING, SIZES, Hole, holes, literal, written
from archdsl.backends.spec.recover.items import Composite, Item, Naming, OpItem
from archdsl.backends.spec.recover.ops import Names, OpWriter
from archdsl.backends.spec.recover.templates import Template
from archdsl.backends.spec.recover.tree import Group
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf, listing, mapping
from archdsl.language.keys import COMMON_KEYS, HEADS
from archdsl.language.names import is_number
from archdsl.ops import Concat, Conv
from archdsl.shapes import at, concrete

_DOTTED = frozenset((*HEADS, *COMMON_KEYS, "then"))
"""A node with such a name gets a dot before its key."""


_IN_ONE_LINE = 6
"""The most nodes of nested sequences in one line."""


@dataclass(slots=True, eq=False)
class Residual:
    """A body and its shortcut: "" adds the input, `project` the default projection, `node` that of the items."""

    body: list[Item]
    shortcut: str
    items: list[Item]


@dataclass(slots=True, eq=False)
class Writer(OpWriter):
    """Writes one module after the other; `put` receives the holes.

    `content` are the items of each group, `templates` the block of each group that is a call, with its arguments.
    `projection` is the norm of the projection that a residual block implies, and whether it has a bias; None if no
    block shall have one.
    """

    naming: Naming
    content: Mapping[Group, list[Item]]
    templates: Mapping[Group, tuple[Template, int]]
    projection: tuple[str, bool] | None
    collapse: bool = False
    net: bool = False
    """Whether it writes a net: names of blocks are holes, and so are the counts of equal ops behind each other."""
    uses: Counter[str] = field(default_factory=Counter)
    """How often the text has a call of each block; a repeat counts as several."""
    inside: dict[int, str] = field(default_factory=dict)
    """The names of the values in the mapping that was written last."""

    # --- groups ----------------------------------------------------------------------------------------------

    def body(self, group: Group, names: Names, cursor: int) -> YamlLayout:
        """Return the layout of a group whose first node reads `cursor` if it has no reference."""
        return self.sequence(self.content[group], names, cursor, group.exports, group.path)

    def sequence(self, items: list[Item], names: Names, cursor: int, exports: Collection[int], path: str) -> YamlLayout:
        """Return items behind each other: a list if their names are its numbers, else a mapping."""
        if len(items) == 1 and isinstance(items[0], Composite):
            return self.composite(items[0], names, cursor, path)
        named = [i for i in items[:-1] if i.value in exports]
        named += [i for i in items if isinstance(i, Group) and i.exports not in ([], [i.value])]
        named += [i for i in items if self._needs_name([i], i.reads[0] if i.reads else cursor)]
        chained = [i.reads[:1] for i in items] == [[cursor], *([i.value] for i in items[:-1])]
        readers = self.readers(items, exports)
        if chained and all(len(i.reads) == 1 for i in items) and not named:
            fused = self.naming.fuse(self._singles(items, True), True, readers)
            if self._numbered(fused):
                return self._list(fused, names, cursor, path, readers)
        fused = self.naming.fuse(self._singles(items, False), False, readers)
        return self._mapping(fused, names, cursor, path, readers)

    def _needs_name(self, items: Sequence[Item], entry: int) -> bool:
        """Whether items need a name for the value that the first of them reads: a later one reads it, too."""
        for number, item in enumerate(items):
            if number and entry in item.reads:
                return True
            if isinstance(item, Group) and item not in self.templates and entry in item.reads:
                if self._needs_name(self.content[item], entry):
                    return True
            elif isinstance(item, Composite) and any(self._needs_name(chain, entry) for chain in item.chains):
                return True
        return False

    def readers(self, items: Sequence[Item], exports: Collection[int]) -> Counter[int]:
        """Return how many items read each value; `exports` are read outside."""
        readers = Counter(read for item in items for read in item.reads)
        readers.update(exports)
        return readers

    def _singles(self, items: Sequence[Item], listed: bool) -> list[Item]:
        """The items, with the groups that are one written op as such."""
        if listed and self.naming.word != "nested":
            return list(items)
        return [(self.naming.single(i) or i) if isinstance(i, Group) else i for i in items]

    def _numbered(self, items: Sequence[Item]) -> bool:
        number = 0
        for item in items:
            if isinstance(item, Composite):
                return False
            if isinstance(item, Group) or item.key:
                names = [item.name if isinstance(item, Group) else item.key]
            elif self.naming.word == "nested":
                names = item.names[:1]
            else:
                names = item.names
            if not any(names):
                return item is items[-1] and number > 0
            if names != [str(number + n) for n in range(len(names))]:
                return False
            number += len(names)
        return True

    def _list(self, items: list[Item], names: Names, cursor: int, path: str, readers: Counter[int]) -> YamlLayout:
        layouts: list[YamlLayout] = []
        for run in self._runs(items, readers, listed=True):
            element = self._run(run, names, cursor, path, listed=True)
            cursor = run[-1].value
            inline = isinstance(run[0], Group) and run[0] not in self.templates
            bare = isinstance(element, YamlGroup) and inline and element.get("dense") is None and element.get("repeat")
            layouts.append(listing([element], flow=True) if bare else element)
        out = _collapsed(layouts) if self.collapse else layouts
        if len(out) == 1 and isinstance(out[0], YamlGroup) and out[0].get("repeat"):
            return out[0]
        return _flowing(listing(out))

    def _mapping(self, items: list[Item], names: Names, cursor: int, path: str, readers: Counter[int]) -> YamlLayout:
        own = Names(names)
        out = YamlGroup()
        runs, kinds = self._runs(items, readers), Counter[str]()
        for run in runs:
            key = self._key(run, kinds)
            self.inside = {}
            element = self._run(run, own, cursor, path)
            named = isinstance(element, YamlGroup) and element.get("as")
            whole = len(runs) == 1 and (len(run) > 1 or named or not _name(run[0]))
            if whole and not (isinstance(element, YamlGroup) and element.get("from")):
                return element
            out.entries.append(YamlEntry(element, YamlLeaf(f".{key}" if key in _DOTTED else key)))
            last = run[-1]
            if isinstance(last, Group) and last not in self.templates:
                inner = {v: f"{key}.{name}" for v, name in self.inside.items() if v in last.exports}
                own.values.update(inner)
            own.values[last.value] = key
            cursor = last.value
        self.inside = own.values
        return _flowing(out)

    def _key(self, run: Sequence[Item], kinds: Counter[str]) -> str:
        name = _name(run[0]) if len(run) == 1 else ""
        if name:
            return name
        first = run[0]
        kind = "sum" if isinstance(first, Composite) else first.nodes[0].op.name if isinstance(first, OpItem) else ""
        kind = "blocks" if len(run) > 1 else kind
        kinds[kind] += 1
        return f"_{kind}{kinds[kind] if kinds[kind] > 1 else ''}"

    # --- runs ------------------------------------------------------------------------------------------------

    def _runs(self, items: Sequence[Item], readers: Counter[int], listed: bool = False) -> list[list[Item]]:
        """Calls of one block that are one repeat, layers that are one dense block, and equal ops of the list of a net;
        other items alone."""
        runs: list[list[Item]] = []
        at_item = 0
        while at_item < len(items):
            run = [items[at_item]]
            while at_item + len(run) < len(items) and self._continues(run, items[at_item + len(run)], readers, listed):
                run.append(items[at_item + len(run)])
            if len(run) > 1 and isinstance(run[0], Group) and not self._short(run, whole=len(run) == len(items)):
                run = run[:1]
            runs.append(run)
            at_item += len(run)
        return runs

    def _continues(self, run: list[Item], item: Item, readers: Counter[int], listed: bool) -> bool:
        first, last = run[0], run[-1]
        if item.reads != [last.value] or readers[last.value] != 1:
            return False
        if isinstance(first, Composite) and isinstance(item, Composite):
            if not (first.growing and item.growing):
                return False
            layers = [first.chains[1][0], run[-1].chains[1][0], item.chains[1][0]]  # type: ignore[union-attr]
            return self._same_calls(layers, True)
        if isinstance(first, Group) and isinstance(item, Group):
            return len(first.reads) == 1 and self._same_calls([first, last, item], False) and self._equal(run[1:], item)
        if isinstance(first, OpItem) and isinstance(item, OpItem):
            return listed and self.net and _fields(first) == _fields(item)
        return False

    def _same_calls(self, items: Sequence[Item], equal: bool) -> bool:
        """Whether the first and the last two items are calls of one block, and numbered in order."""
        groups = [item for item in items if isinstance(item, Group) and item in self.templates]
        if len(groups) < len(items):
            return False
        template = self.templates[groups[0]][0]
        same = all(self.templates[group][0] is template for group in groups)
        before, after = _number(groups[-2].name), _number(groups[-1].name)
        counted = before and after and before[::2] == after[::2] and before[1] + 1 == after[1]
        return bool(same and counted) and (not equal or self.values(groups[0]) == self.values(groups[-1]))

    def _equal(self, rest: list[Item], item: Group) -> bool:
        """Whether a copy has the arguments of the copies after the first."""
        return not rest or self.values(rest[0]) == self.values(item)  # type: ignore[arg-type]

    def _short(self, run: Sequence[Item], whole: bool) -> bool:
        """Whether a person would write a repeat: the arguments of the first copy are mostly those of the others."""
        groups = [group for group in run if isinstance(group, Group)]
        if not whole and len(run) == 2 and not is_number(groups[0].name):
            return False
        params = self.templates[groups[0]][0].arguments
        pairs = zip(params, self.values(groups[0]), self.values(groups[1]), strict=True)
        differ = [param.field for param, first, second in pairs if first != second]
        few = len(differ) * 2 <= len(params) or len(differ) == 1
        return not differ or (few and (len(run) > 2 or not SIZES & {*differ}))

    def values(self, group: Group) -> list[Any]:
        """Return the arguments of a call."""
        template, copy = self.templates[group]
        return [param.values[copy] for param in template.arguments]

    def _run(self, run: list[Item], names: Names, cursor: int, path: str, listed: bool = False) -> YamlLayout:
        first = run[0]
        if isinstance(first, OpItem):
            put = self.put
            if len(run) > 1:
                self.put = lambda hole: put(hole._replace(channels=0))  # no copy but the first reads so many
            op = self.op(first, names, cursor, path)
            self.put = put
            if listed and self.net and op.get("from") is None:
                self._count(op, len(run))
            return op
        if isinstance(first, Composite):
            return self.composite(first, names, cursor, path) if len(run) == 1 else self._dense(run, cursor, names)
        if first not in self.templates:
            return self.body(first, names, cursor)
        groups = [group for group in run if isinstance(group, Group)]
        out = mapping({"call": YamlLeaf(self._call(groups))}, flow=True)
        number = _number(first.name)
        if number and len(first.reads) == 1:
            # A single copy has a count as well: copies of the module around it may have more.
            counted = self._count(out, len(run))
            self.uses[self.templates[first][0].name] += counted
            if counted and not listed:
                self._pattern(out, number)
        return self.reading(out, first.reads, names, cursor)

    def _count(self, out: YamlGroup, copies: int) -> bool:
        """Add the count of a repeat, unless it is always 1."""
        text, value = self.put(Hole("repeat", copies, 1, 0))
        if text is not None or value > 1:
            out.put("repeat", YamlLeaf(text or str(value), verbatim=text is None))
        return text is not None or value > 1

    def _pattern(self, out: YamlGroup, number: tuple[str, int, str]) -> None:
        if number != ("", 0, ""):
            out.put("as", YamlLeaf(f"{number[0]}{{{number[1]}}}{number[2]}"))

    def _dense(self, run: Sequence[Item], cursor: int, names: Names) -> YamlLayout:
        layers = [item.chains[1][0] for item in run if isinstance(item, Composite)]
        groups = [layer for layer in layers if isinstance(layer, Group)]
        out = mapping({"dense": YamlLeaf(self._call(groups[:1]))}, flow=True)
        self.uses[self.templates[groups[0]][0].name] += self._count(out, len(run))
        number = _number(groups[0].name)
        assert number is not None
        self._pattern(out, number)
        return self.reading(out, run[0].reads, names, cursor)

    def _call(self, groups: Sequence[Group]) -> str:
        """`bottleneck(64, 2 if first else 1)`."""
        template, copy = self.templates[groups[0]]
        other = self.templates[groups[1]][1] if len(groups) > 1 else -1
        self.uses[template.name] += 1
        name = (self.put(Hole("block", template.name, MISSING, 0))[0] if self.net else None) or template.name
        words, positional = [], True
        for param in template.arguments:
            channels = [at(self.graph.nodes[group.reads[0]].shape[0]) for group in groups[:2]]
            first = Hole(param.field, param.values[copy], MISSING, channels[0])
            rest = Hole(param.field, param.values[other] if other >= 0 else MISSING, MISSING, channels[-1])
            (one, value), (two, other_value) = self.put(first), self.put(rest)
            one = one or literal(value)
            two = two or (one if other_value is MISSING else literal(other_value))
            text = one if one == two else f"{one} if first else {two}"
            if param.default is not MISSING and text == literal(param.default):
                positional = False
            else:
                words.append(text if positional else f"{param.name}={text}")
        return f"{name}({', '.join(words)})" if words else name

    # --- composites ------------------------------------------------------------------------------------------

    def composite(self, item: Composite, names: Names, cursor: int, path: str) -> YamlLayout:
        """Return a residual block or branches."""
        residual = self.residual(item, path)
        if residual is not None:
            return self.reading(self.residual_layout(residual, item, names, path), item.reads, names, cursor)
        (entry,) = item.reads
        merge = item.merge.op.name
        branches = self._branches(item, names, entry, path)
        out = YamlGroup()
        out.put("inception" if isinstance(item.merge.op, Concat) else "branches", branches)
        if not isinstance(item.merge.op, Concat):
            out.put("merge", YamlLeaf(merge))
        self._then(out, item)
        return self.reading(out, item.reads, names, cursor)

    def _branches(self, item: Composite, names: Names, entry: int, path: str) -> YamlLayout:
        single = [self.naming.fuse(self._singles(chain, False), False, self.readers(chain, [chain[-1].value]))
                  if chain else [] for chain in item.chains]  # fmt: skip
        if all(len(chain) == 1 and _name(chain[0]) for chain in single):
            out = YamlGroup()
            for (branch,) in single:
                out.put(_name(branch), self._run([branch], Names(names), entry, path))
            return _flowing(out)
        layouts: list[YamlLayout] = []
        for chain in item.chains:
            if chain:
                layouts.append(self.sequence(chain, names, entry, [chain[-1].value], path))
            else:
                layouts.append(YamlLeaf("identity"))
        return _flowing(listing(layouts))

    def residual(self, item: Composite, path: str) -> Residual | None:
        """Return a composite as a residual block, if it is one."""
        if not item.residual:
            return None
        one, two = item.chains
        if not one or not two:
            return Residual(one or two, "", [])
        entry = self.graph.nodes[item.reads[0]]
        if concrete(entry.shape) == concrete(item.merge.shape):
            return None
        if self._is_projection(one, path) or (_weight(one) < _weight(two) and not self._is_projection(two, path)):
            one, two = two, one
        return Residual(one, "project" if self._is_projection(two, path) else "node", two)

    def _is_projection(self, chain: Sequence[Item], path: str) -> bool:
        """Whether the items are the projection that a residual block implies."""
        if len(chain) != 1 or not isinstance(chain[0], Group) or chain[0].name != "downsample":
            return False
        inner, expected = chain[0], ["0", "1"]
        if self.naming.word == "nested" and [_name(member) for member in _groups(inner)] == ["0"]:
            inner, expected = _groups(inner)[0], [leaf.node.op.name for leaf in _groups(inner)[0].leaves]
        nodes = [leaf.node for leaf in inner.leaves]
        if [leaf.name for leaf in inner.leaves] != expected[: len(nodes)] or len(inner.members) != len(nodes):
            return False
        first = nodes[0].op if nodes else None
        if not isinstance(first, Conv) or set(first.kernel) != {1} or first.groups > 1 or len(nodes) > 2:
            return False
        norm = nodes[1].op.name if len(nodes) > 1 else ""
        return (norm, first.bias) == self.projection and set(first.dilation) == {1}

    def residual_layout(self, residual: Residual, item: Composite, names: Names, path: str) -> YamlGroup:
        """Return the mapping of a residual block."""
        (entry,) = item.reads
        out = YamlGroup()
        out.put("residual", self.sequence(residual.body, names, entry, [residual.body[-1].value], path))
        then = YamlGroup()
        self._then(then, item)
        if residual.shortcut == "node":
            items = residual.items
            out.put("shortcut", self.sequence(items, names, entry, [items[-1].value], path))
        out.entries += then.entries
        return out

    def _then(self, out: YamlGroup, item: Composite) -> None:
        if item.then is not None:
            out.put("then", self.act(item.then, "then"))


def _fields(item: OpItem) -> list[Any]:
    """The ops of an item with their fields; an op that runs again is only equal to itself."""
    norm = any(node.op.role == "norm" for node in item.nodes)
    return [
        (written(node), node.shared_with and node.id, [h[:2] for h in holes(node, written(node), {}, norm)])
        for node in item.nodes
    ]


def _groups(group: Group) -> list[Group]:
    return [member for member in group.members if isinstance(member, Group)]


def _weight(chain: Sequence[Item]) -> int:
    return sum(item.end - item.start if isinstance(item, Group) else 1 for item in chain)


def _name(item: Item) -> str:
    if isinstance(item, Composite):
        return ""
    return item.name if isinstance(item, Group) else item.key or item.names[0]


def _number(name: str) -> tuple[str, int, str] | None:
    """`layer`, 1, `` of `layer1`; None for a name without a number."""
    if is_number(name):
        return "", int(name), ""
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_-]*?)(0|[1-9][0-9]{0,3})", name)
    return (match[1], int(match[2]), "") if match else None


def _depth(group: YamlLayout) -> int:
    if isinstance(group, YamlLeaf) or {"op", "call", "dense"} & {*group.keys}:
        return 0
    return 1 + max((_depth(entry.value) for entry in group.entries), default=0)


def _flowing(group: YamlGroup) -> YamlGroup:
    """A short sequence in one line."""
    composite = bool({"residual", "inception", "branches"} & {*group.keys})
    group.flow = not composite and (_depth(group) <= 1 or (_depth(group) == 2 and heads(group) <= _IN_ONE_LINE))
    return group


def text_of(layout: YamlLayout) -> str:
    """Return a layout as one text, to compare with others."""
    if isinstance(layout, YamlLeaf):
        return layout.text
    inside = (f"{e.key.text}: {text_of(e.value)}" if e.key else text_of(e.value) for e in layout.entries)
    return f"{{{', '.join(inside)}}}" if layout.mapping else f"[{', '.join(inside)}]"


def heads(layout: YamlLayout) -> int:
    """Return how many nodes a layout has."""
    if isinstance(layout, YamlLeaf):
        return 0
    own = {"op", "call", "dense", "residual", "inception", "branches"} & {*layout.keys}
    return bool(own) + sum(heads(entry.value) for entry in layout.entries)


def _collapsed(layouts: Sequence[YamlLayout]) -> list[YamlLayout]:
    """Equal ops behind each other as one with a count."""
    out: list[YamlLayout] = []
    counts: list[int] = []
    for one in layouts:
        plain = isinstance(one, YamlGroup) and one.get("op") is not None and one.get("from") is None
        if plain and out and text_of(out[-1]) == text_of(one):
            counts[-1] += 1
        else:
            out.append(one)
            counts.append(1)
    for one, count in zip(out, counts, strict=True):
        if count > 1 and isinstance(one, YamlGroup):
            one.put("repeat", YamlLeaf(str(count), verbatim=True))
    return out
