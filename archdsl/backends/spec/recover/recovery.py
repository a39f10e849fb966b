"""One attempt to write a graph with blocks: finds the templates from the innermost modules outwards, then the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

from archdsl.backends.spec.recover.family import Alignment, Member, NetHoles, Unalike, align
from archdsl.backends.spec.recover.fields import MISSING, SIZES, Hole
from archdsl.backends.spec.recover.items import Composite, Item, Naming, compose, item_of
from archdsl.backends.spec.recover.ops import Inexpressible, Names, Put
from archdsl.backends.spec.recover.templates import Template, infer
from archdsl.backends.spec.recover.tree import Group, tree
from archdsl.backends.spec.recover.writer import Writer, heads, text_of
from archdsl.graph import Graph
from archdsl.language.format.shortform import short_form
from archdsl.language.format.yaml_writer import YamlGroup, YamlLayout, YamlLeaf, mapping, write
from archdsl.language.keys import HEADS
from archdsl.language.names import LANGUAGE_WORDS
from archdsl.ops import OPS_BY_NAME
from archdsl.shapes import at, concrete

_TOO_PLAIN = frozenset(("sequential", "modulelist", "moduledict", "module"))
"""Classes that say nothing about a block."""


@dataclass(slots=True, eq=False)
class _Copy:
    """A module with its holes: `variant` is the shortcut around the body, `none` for no addition."""

    group: Group
    holes: list[Hole]
    variant: str
    shortcut_holes: list[Hole]
    heads: int


@dataclass(eq=False)
class Recovery:
    """The blocks of a graph under one `naming`. `projection`: the norm and bias that a shortcut is taken to imply."""

    graph: Graph
    """All networks."""
    members: Sequence[Member]
    classes: Mapping[str, str]
    naming: Naming
    projection: tuple[str, bool] | None
    plain: frozenset[str] = frozenset()
    """The paths of modules that are not blocks."""
    failed: frozenset[str] = frozenset()
    """Those that are not, as the spec with their blocks is another network."""
    content: dict[Group, list[Item]] = field(default_factory=dict)
    templates: dict[Group, tuple[Template, int]] = field(default_factory=dict)
    blocks: list[Template] = field(default_factory=list)
    root: Group = field(init=False)
    nets: list[Group] = field(init=False)
    uses: Counter[str] = field(default_factory=Counter)
    beside: set[int] = field(default_factory=set)
    """The modules in shortcuts, which are no blocks."""

    def __post_init__(self) -> None:
        self.root = tree(self.graph)
        self.nets = [member for member in self.root.members if isinstance(member, Group)]
        self.nets = self.nets if len(self.members) > 1 else [self.root]
        for group in self.root.walk():
            items = [item_of(member) for member in group.members]
            self.content[group] = compose(items, group.exports, self.naming.shared)
        levels: dict[int, list[Group]] = {}
        for group in self.root.walk():
            levels.setdefault(self._height(group), []).append(group)
        for level in sorted(levels):
            copies: dict[str, list[_Copy]] = {}
            for group in levels[level]:
                if group is not self.root and group not in self.nets and self._can_be_block(group):
                    key, copy = self._copy(group)
                    copies.setdefault(key, []).append(copy)
            for same in copies.values():
                self._templates(same)

    def _height(self, group: Group) -> int:
        """How deep its modules are nested. The shortcut of a residual block does not count: some copies have none."""
        (first, *rest), inner = self.content[group], group.members
        if not rest and isinstance(first, Composite):
            residual = self.writer(_keep, {}).residual(first, group.path)
            if residual is not None:
                beside = {id(g) for item in residual.items if isinstance(item, Group) for g in item.walk()}
                self.beside |= beside
                inner = [member for member in inner if id(member) not in beside]
        group.height = max((member.height + 1 for member in inner if isinstance(member, Group)), default=0)
        return group.height

    # --- templates -------------------------------------------------------------------------------------------

    def _can_be_block(self, group: Group) -> bool:
        inside = f"{group.path}."
        nodes = self.graph.nodes[group.start : group.end]
        owned = all(node.shared_with.startswith(inside) for node in nodes if node.shared_with)
        closed = group.exports == [group.value] and len(group.reads) > 0
        closed = closed and group.path not in self.plain and id(group) not in self.beside
        return closed and owned and self.naming.single(group) is None

    def writer(self, put: Put, defaults: Mapping[tuple[str, str], Any]) -> Writer:
        """Return a writer of modules that are calls of the known templates."""
        return Writer(self.graph, put, defaults, self.naming, self.content, self.templates, self.projection)

    def _copy(self, group: Group) -> tuple[str, _Copy]:
        """The key of a module, which is equal for copies of one template, and its holes."""
        holes: list[Hole] = []

        def put(hole: Hole) -> tuple[str | None, Any]:
            holes.append(hole)
            return "?", hole.value

        writer = self.writer(put, {})
        names = _inner_names(group, ())
        items = self.content[group]
        first = items[0]
        residual = writer.residual(first, group.path) if len(items) == 1 and isinstance(first, Composite) else None
        if residual is None or not isinstance(first, Composite):
            layout = writer.body(group, names, group.reads[0])
            return f"{text_of(layout)} ", _Copy(group, holes, "none", [], heads(layout))
        entry = group.reads[0]
        body = writer.sequence(residual.body, names, entry, [residual.body[-1].value], group.path)
        then = "" if first.then is None else text_of(writer.act(first.then, "then"))
        count, variant = len(holes), residual.shortcut
        if variant == "node":
            last = residual.items[-1].value
            variant += text_of(writer.sequence(residual.items, names, entry, [last], group.path))
        return f"{text_of(body)} {then}", _Copy(group, holes[:count], variant, holes[count:], heads(body) + 1)

    def _templates(self, copies: list[_Copy]) -> None:
        """Make the templates of copies with one body: its shortcuts may differ where the shapes do."""
        for variants in _variants(copies, self._changes):
            own = [copy for copy in copies if self._variant(copy) in variants]
            nodes = max((copy.heads for copy in own), default=0)
            if len(own) < 2 or (nodes < 2 and not self._wraps(own)):
                continue
            sample = max(own, key=lambda copy: (len(copy.shortcut_holes), copy.variant != "none"))
            shortcut = (
                "none"
                if variants <= {"none", "kept"}
                else "if_same_shape"
                if "none" in variants
                else sample.variant[:7]
            )
            groups = [copy.group for copy in own]
            template = Template(self._block_name(groups), groups, sample.group, shortcut)
            if len(groups[0].reads) > 1:
                template.inputs = _input_names(self.content[sample.group], len(groups[0].reads))
            width = len(sample.shortcut_holes)
            rows = [
                [*copy.holes, *(copy.shortcut_holes or [h._replace(value=MISSING) for h in sample.shortcut_holes])]
                for copy in own
            ]
            assert all(len(row) == len(rows[0]) for row in rows) and width >= 0
            channels = [at(self.graph.nodes[group.reads[0]].shape[0]) for group in groups]
            infer(template, [*zip(*rows, strict=True)], channels)
            self.blocks.append(template)
            for number, group in enumerate(groups):
                self.templates[group] = template, number

    def _wraps(self, copies: Sequence[_Copy]) -> bool:
        """Whether modules have nothing but a call, and are so many that they can be a repeat."""
        contents = [self.content[copy.group] for copy in copies]
        calls = all(len(items) == 1 and items[0] in self.templates for items in contents)
        return calls and len(copies) > 2 and copies[0].group.name[-1:].isdigit()

    def _changes(self, copy: _Copy) -> bool:
        nodes = self.graph.nodes
        return concrete(nodes[copy.group.reads[0]].shape) != concrete(nodes[copy.group.value].shape)

    def _variant(self, copy: _Copy) -> str:
        return "kept" if copy.variant == "none" and not self._changes(copy) else copy.variant

    def _block_name(self, groups: Sequence[Group]) -> str:
        """The name of the class, or else that of the modules without its number."""
        names = Counter(self.classes.get(group.path, "") for group in groups)
        word = re.sub(r"[^A-Za-z0-9]+", "_", names.most_common(1)[0][0])
        word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower().strip("_")
        if not word or word in _TOO_PLAIN or not word[0].isalpha():
            named = [part for part in reversed(groups[0].path.split(".")) if re.fullmatch(r"[A-Za-z]\w*", part, re.A)]
            word = re.sub(r"_?\d+$", "", named[0].lower()) if named else "block"
        if word in OPS_BY_NAME or word in LANGUAGE_WORDS or word in HEADS or not word:
            word = f"{word or 'one'}_block"
        word, taken = word[:50], {template.name for template in self.blocks}
        return next(name for name in (word, *(f"{word}_{n}" for n in range(2, 100_000))) if name not in taken)

    # --- text ------------------------------------------------------------------------------------------------

    def better(self) -> Recovery | None:
        """Return an attempt without the blocks of one call, and with the projection that the defaults imply; None if
        this one is such."""
        defaults = _defaults(self._layouts({})[2])
        norm = defaults.get(("conv", "norm"), "")
        implied = norm, bool(defaults.get(("conv", "bias"), not norm))
        once = {group.path for t in self.blocks if self.uses[t.name] == 1 for group in t.copies}
        if self.plain >= once and self.projection in (None, implied):
            return None
        projection = self.projection and implied
        plain = self.plain | once
        return Recovery(self.graph, self.members, self.classes, self.naming, projection, plain, self.failed)

    def text(self) -> str:
        """Return the spec. Raises `Inexpressible`."""
        defaults = _defaults(self._layouts({})[2])
        nets, blocks, _ = self._layouts(defaults)
        root = YamlGroup()
        root.put("name", YamlLeaf(self.graph.name))
        root.put("input", self.inputs(0))
        args = mapping(self.aligned.values(0), flow=True)
        section = _defaults_layout(defaults, self.naming.word)
        for key, part in (("args", args), ("defaults", section), ("blocks", blocks)):
            if part.entries:
                root.put(key, part)
        net, outputs = nets[0]
        if isinstance(net, YamlGroup):
            net.flow = False
        root.put("net", net)
        if outputs.entries:
            root.put("outputs", outputs)
        variants = {m.graph.name: self._variant_of(n, nets) for n, m in enumerate(self.members) if n}
        if variants:
            root.put("variants", mapping(variants))
        return write(_shortened(root))

    def inputs(self, network: int) -> YamlLayout:
        """Return the section `input` of a network."""
        graph = self.members[network].graph
        nodes = [graph.nodes[i] for i in graph.inputs]
        shapes = {node.path: YamlLeaf("x".join(map(str, concrete(node.shape)))) for node in nodes}
        return next(iter(shapes.values())) if len(shapes) == 1 else mapping(shapes, flow=True)

    def _variant_of(self, network: int, nets: Sequence[tuple[YamlLayout, YamlGroup]]) -> YamlGroup:
        """What a network has other than the first."""
        out = mapping(self.aligned.values(network), flow=True)
        size, (first, _), (own, outputs) = self.inputs(network), nets[0], nets[network]
        names = [", ".join(f"`{n}`" for n in self.members[k].inputs.values()) for k in (0, network)]
        if names[0] != names[1]:
            raise Unalike(network, f"whose inputs are {names[0][:200]}, not {names[1][:200]}")
        if text_of(size) != text_of(self.inputs(0)):
            out.put("input", size)
        net = self.aligned.override(network, first, own)
        if net is not None:
            out.put("net", net)
            out.flow = False
        if text_of(outputs) != text_of(nets[0][1]):
            out.put("outputs", outputs)
        return out

    @cached_property
    def aligned(self) -> Alignment:
        """What the nets have in common."""
        nets = [NetHoles() for _ in self.members]
        if len(nets) > 1:
            for network, net in enumerate(nets):
                net.layout, _ = self._net(network, self.writer(net.put, {}))
        return align(nets, self.nets, {template.name for template in self.blocks})

    def _layouts(
        self, defaults: Mapping[tuple[str, str], Any]
    ) -> tuple[list[tuple[YamlLayout, YamlGroup]], YamlGroup, Counter[Any]]:
        """The nets with their outputs, the blocks, and how often each field has each value in their text."""
        seen: Counter[Any] = Counter()
        self.uses.clear()
        blocks = YamlGroup()
        for template in self.blocks:
            writer = self.writer(_texts(template), defaults)
            writer.collapse, writer.seen, writer.uses = True, seen, self.uses
            blocks.put(template.header(), self._block(template, writer))
        nets, most = [], Counter[str]()
        for network in range(len(self.members)):
            writer = self.writer(_keep, defaults)
            nets.append(self._net(network, writer))
            most |= writer.uses
            if not network and len(self.members) > 1:
                writer = self.writer(self.aligned.put(), defaults)
                nets[0] = self._net(0, writer)
            if not network:
                seen.update(writer.seen)
        self.uses.update(most)
        return nets, blocks, seen

    def _net(self, network: int, writer: Writer) -> tuple[YamlLayout, YamlGroup]:
        """The net of a network and its outputs, which are empty if the last node is the only one."""
        member, group = self.members[network], self.nets[network]
        writer.net = True
        inputs = member.inputs
        net = writer.body(group, Names(None, dict(inputs)), next(iter(inputs)) if len(inputs) == 1 else -1)
        if [*member.outputs.items()] == [("output", group.value)]:
            return net, YamlGroup()
        names = Names(None, {**inputs, **writer.inside})
        refs = {name: YamlLeaf(names.reference(node)) for name, node in member.outputs.items()}
        return net, mapping(refs, flow=True)

    def _block(self, template: Template, writer: Writer) -> YamlLayout:
        group = template.sample
        names = _inner_names(group, template.inputs)
        first = self.content[group][0]
        if template.shortcut == "none" or not isinstance(first, Composite):
            layout = writer.body(group, names, group.reads[0])
        else:
            residual = writer.residual(first, group.path)
            assert residual is not None
            layout = writer.residual_layout(residual, first, names, group.path)
            if template.shortcut == "if_same_shape":
                layout.put("shortcut", YamlLeaf("if_same_shape"))
        return layout

    def counts(self, network: int) -> tuple[int, int]:
        """Return how many modules of a network are calls or composites, and how many are neither, and no chain or a
        failed block."""
        recovered = flat = 0
        for group in self.nets[network].walk():
            items = self.content[group]
            chained = all(item.reads == [before.value] for before, item in pairwise(items))
            composite = len(items) == 1 and isinstance(items[0], Composite)
            block = group is not self.nets[network] and (group in self.templates or composite)
            recovered += block
            flat += group is not self.nets[network] and not block and (not chained or group.path in self.failed)
        return recovered, flat


def _shortened(group: YamlGroup) -> YamlGroup:
    """The layout with short strings, so that its lines have their final widths."""
    for entry in group.entries:
        if isinstance(entry.value, YamlGroup):
            part = entry.key is not None and entry.key.text in ("norm", "act")
            text = None if part else short_form(entry.value)
            entry.value = _shortened(entry.value) if text is None else YamlLeaf(text)
    return group


def _keep(hole: Hole) -> tuple[str | None, Any]:
    return None, hole.value


def _texts(template: Template) -> Put:
    """The holes of a block as texts of its arguments."""
    texts: Iterator[tuple[str | None, Any]] = iter(zip(template.texts, template.values, strict=True))

    def put(hole: Hole) -> tuple[str | None, Any]:
        return next(texts)

    return put


def _variants(copies: Sequence[_Copy], changes: Any) -> Iterator[set[str]]:
    """Sets of shortcuts that one block can have: the input itself where the shape is kept, another where it changes."""
    found = Counter("kept" if c.variant == "none" and not changes(c) else c.variant for c in copies)
    others = [variant for variant, _ in found.most_common() if variant not in ("", "kept")]
    if not others or others == ["none"] and "" not in found:
        yield {*found}
        return
    if "" in found:
        yield {"", *others[:1]}
        others = others[1:]
    for variant in (*others, *(["kept"] if "kept" in found else [])):
        yield {variant}


def _inner_names(group: Group, inputs: Sequence[str]) -> Names:
    """The names of the values that a block reads."""
    words = inputs or (["input"] if len(group.reads) == 1 else [f"input{n}" for n in range(len(group.reads))])
    return Names(None, dict(zip(group.reads, words, strict=True)))


def _input_names(items: Sequence[Item], count: int) -> tuple[str, ...]:
    """Names for the inputs of a block that none of its nodes has."""
    keys = {getattr(item, "name", "") for item in items} | {n for item in items for n in getattr(item, "names", ())}
    words = [word for word in ("x", "skip", "y", "z", *(f"x{n}" for n in range(2, 1000))) if word not in keys]
    if count > len(words):
        raise Inexpressible
    return tuple(words[:count])


def _defaults(seen: Counter[Any]) -> dict[tuple[str, str], Any]:
    """The values that most ops have, if they differ from the op's own defaults."""
    out: dict[tuple[str, str], Any] = {}
    totals: Counter[tuple[str, str]] = Counter()
    for (op, name, _), count in seen.items():
        totals[op, name] += count
    for (op, name, value), count in seen.items():
        if op not in OPS_BY_NAME or op == "again" or name in SIZES or count < 2 or count * 2 <= totals[op, name]:
            continue
        if name in ("norm", "act"):
            if value != "none":
                out[op, name] = value
            continue
        cls = OPS_BY_NAME[op]
        info = cls.model_fields[name]
        if not info.is_required() and name not in (*cls.per_axis, *cls.per_side) and value != info.default:
            out[op, name] = value
    return out


def _defaults_layout(defaults: Mapping[tuple[str, str], Any], naming: str) -> YamlGroup:
    from archdsl.backends.spec.fields import value_layout

    out = YamlGroup(flow=True)
    for (op, name), value in sorted(defaults.items(), key=lambda item: item[0][1] in ("norm", "act")):
        inner = out.get(op)
        if not isinstance(inner, YamlGroup):
            inner = YamlGroup(flow=True)
            out.put(op, inner)
        inner.put(name, value_layout(value))
    if naming != "nested":
        out.put("naming", YamlLeaf(naming))
    return out
