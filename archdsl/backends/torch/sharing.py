"""Find the blocks of a program that can share a class: those with the same children, wiring and constructors.

They differ in constants only, which `options` turns into arguments. Imports no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from archdsl.backends.torch.class_arguments import ClassOptions
from archdsl.backends.torch.lower import BARE
from archdsl.backends.torch.naming import RESERVED, class_name, is_attribute, unique
from archdsl.backends.torch.program import Child, ModuleBlock, Program
from archdsl.backends.torch.steps import Argument, Call, Expr, Module, Parameter, Run, Value, Weight

DEEPEST = 8
"""Containers within one another that are printed in place. Python has a limit on brackets, too."""


@dataclass(eq=False)
class SharedClass:
    """A class of the printed source, the blocks that are its instances, and its arguments."""

    name: str
    blocks: list[ModuleBlock]
    rows: dict[ModuleBlock, int] = field(default_factory=dict)
    """The index of each block in `blocks`."""
    options: ClassOptions = field(default_factory=ClassOptions)

    @property
    def container(self) -> str:
        """The container that is the base of the class; empty: the class has a forward."""
        first = self.blocks[0]
        return "" if written_out(first) else first.container


def written_out(block: ModuleBlock) -> bool:
    """Whether a block is printed as a class with a forward, as a chain is whose children have names."""
    if block.container != "nn.Sequential":
        return not block.container
    several = block.scope.block is not None or len(block.children) > 1
    return several and all(map(is_attribute, block.children))


# --- blocks of one class ----------------------------------------------------------------------------------


class Sharing:
    """The classes of a program, inner ones first; `of` returns a block's class, or None if it is printed in place."""

    def __init__(self, program: Program, taken: frozenset[str]) -> None:
        self.blocks = list(program.root.walk())
        self.structures = _structures(self.blocks)
        self.sites = self._sites()
        self.taken = {*RESERVED, *taken}
        self.classes: list[SharedClass] = []
        self._by_structure: dict[int, SharedClass] = {}
        depths: dict[ModuleBlock, int] = {}
        for block in self.blocks:
            depth = 1 + max((depths[inner] for inner in block.children.values() if inner in depths), default=0)
            if block is program.root or depth > DEEPEST or self._is_class(block):
                self._add(block)
            depths[block] = 0 if self.of(block) else depth
        self.main = self._by_structure[self.structures[program.root]]
        self._name_classes(self.main)

    def of(self, block: ModuleBlock) -> SharedClass | None:
        return self._by_structure.get(self.structures[block])

    def _add(self, block: ModuleBlock) -> None:
        structure = self.structures[block]
        if structure not in self._by_structure:
            self._by_structure[structure] = SharedClass("", [])
            self.classes.append(self._by_structure[structure])
        shared = self._by_structure[structure]
        shared.rows[block] = len(shared.blocks)
        shared.blocks.append(block)

    def _sites(self) -> Counter[int]:
        """Count the positions in the text at which each structure would be printed if it were printed in place."""
        sites = {
            (self.structures[child], self.structures[block], name)
            for block in self.blocks
            for name, child in block.children.items()
            if isinstance(child, ModuleBlock)
        }
        return Counter(structure for structure, _, _ in sites)

    def _is_class(self, block: ModuleBlock) -> bool:
        if written_out(block):
            return True
        if block.container != "nn.Sequential" or len(block.children) < 2:
            return False
        leaves = not any(isinstance(child, ModuleBlock) for child in block.children.values())
        sites = self.sites[self.structures[block]]
        return sites >= 2 if block.scope.block else leaves and sites >= 3

    def _name_classes(self, main: SharedClass) -> None:
        """Name each class after its block; of several structures of a block, after the features that they add."""
        variants: dict[str, list[SharedClass]] = {}
        for shared in self.classes:
            variants.setdefault(_common_title(shared.blocks), []).append(shared)
        main.name = main.blocks[0].title
        self.taken |= {main.name, f"{main.name}Outputs", f"{main.name}TrainingOutputs"}
        for title, group in variants.items():
            features = [_features(shared.blocks[0]) for shared in group]
            distinctive = _distinctive(features)
            for shared, own in sorted(zip(group, features, strict=True), key=_plainest_first):
                more = [name for name in own if name in distinctive]
                word = f"{title}With{'And'.join(more)}" if more and len(more) <= 3 else title
                if shared is not main:
                    shared.name = unique(word, self.taken)
                    self.taken.add(shared.name)


def _distinctive(features: Sequence[list[str]]) -> set[str]:
    """Return the features that not all variants have; of several that the same variants have, the shortest."""
    patterns: dict[tuple[bool, ...], str] = {}
    for name in dict.fromkeys(name for own in features for name in own):
        pattern = tuple(name in own for own in features)
        if not all(pattern):
            patterns[pattern] = min(patterns.get(pattern, name), name, key=len)
    return set(patterns.values())


def _plainest_first(pair: tuple[SharedClass, list[str]]) -> tuple[int, int]:
    return len(pair[1]), -len(pair[0].blocks)


def _features(block: ModuleBlock) -> list[str]:
    """Return features that can name a variant of a block: its named parts, the blocks in it, and a shortcut."""
    parts = block.children.items()
    features = [class_name(name) for name, part in parts if not name.isdigit() and not is_activation(part)]
    features += [inner.title for inner in block.walk() if inner is not block and inner.scope.block]
    added = any(isinstance(step.expr, Call) and step.expr.target == "+" for step in block.steps)
    return list(dict.fromkeys([*features, *(["Shortcut"] if added else [])]))


def is_activation(child: Child) -> bool:
    return isinstance(child, Module) and child.look == "act"


def _common_title(blocks: Sequence[ModuleBlock]) -> str:
    """Return one name for blocks of equal structure: the common prefix of their titles."""
    titles = list(dict.fromkeys(block.title for block in blocks))
    if len(titles) == 1:
        return titles[0]
    low, high = min(titles), max(titles)
    prefix = low[: next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]
    if "Conv" in prefix:
        return f"{prefix}Act"
    return prefix.rstrip("0123456789_") or titles[0]


def _structures(blocks: Sequence[ModuleBlock]) -> dict[ModuleBlock, int]:
    """Number the blocks by structure: blocks with equal numbers differ in constants only. Children come first."""
    structures: dict[ModuleBlock, int] = {}
    classes: dict[Hashable, int] = {}
    for block in blocks:
        numbers: dict[int, int] = {}
        for value in (*block.inputs, *(output for step in block.steps for output in step.outputs)):
            numbers.setdefault(value, len(numbers))
        children = tuple((name, _child_structure(child, structures)) for name, child in block.children.items())
        steps = tuple(
            (tuple(numbers[output] for output in step.outputs), _shape_of(step.expr, numbers), step.training)
            for step in block.steps
        )
        outputs = tuple(numbers[output] for output in block.outputs)
        row = (block.scope.block, block.container, children, len(block.inputs), steps, outputs)
        structures[block] = classes.setdefault(row, len(classes))
    return structures


def _child_structure(child: Child, structures: Mapping[ModuleBlock, int]) -> Hashable:
    if isinstance(child, ModuleBlock):
        return structures[child]
    if isinstance(child, Parameter):
        return "parameter", len(child.shape)
    return "bare" if child.target in BARE else child.target, tuple(name for name, _ in child.arguments)


def _shape_of(expr: Expr, numbers: Mapping[int, int]) -> Hashable:
    """Return the structure of an expression, without its constants."""
    if isinstance(expr, Value):
        return numbers[expr.id]
    if isinstance(expr, (Weight, Argument)):
        return expr
    if isinstance(expr, Call):
        named = tuple((name, _shape_of(item, numbers)) for name, item in expr.kwargs)
        return expr.target, tuple(_shape_of(item, numbers) for item in expr.args), named
    if isinstance(expr, Run):
        return "run", expr.child, expr.inside, tuple(_shape_of(item, numbers) for item in expr.args)
    if isinstance(expr, tuple) and any(_reads(item) for item in expr):
        return tuple(_shape_of(item, numbers) for item in expr)
    return "constant"


def _reads(expr: Expr) -> bool:
    return isinstance(expr, (Value, Call, Run, Weight))
