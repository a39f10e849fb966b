"""Resolves references such as `<- trunk.a`, and explains those that name no earlier node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from archdsl.diagnostics import ArchError, Diagnostic, Label, Proposal, closest, did_you_mean, error
from archdsl.elaborate.build import SEVERAL, GraphBuilder
from archdsl.elaborate.place import Member, VisibleNames
from archdsl.language.syntax import MapSyntax, Ref


def resolve(builder: GraphBuilder, ref: Ref, frame: VisibleNames) -> int:
    """Return the node that a reference names. Raises E0410 (unknown), E0411 (later) or E0421 (several outputs)."""
    member = _member(builder, ref, frame)
    if member.value is not None:
        return member.value
    if member.left_out:
        raise error(
            "E0410",
            f"`{ref.text}` is left out here, and it has several inputs, so none of them takes its place",
            ref.span,
            help="give this node the same `when`, or read another node",
        )
    raise error(
        "E0421",
        f"`{ref.text}` has several outputs",
        ref.span,
        help="select one: " + ", ".join(f"`{ref.text}.{n}`" for n in list(member.inner)[:4]),
    )


def stand_in(builder: GraphBuilder, ref: Ref, frame: VisibleNames) -> int:
    """Return what stands for a node that is left out and reads `ref`: the node that it names, or `SEVERAL`."""
    value = _member(builder, ref, frame).value
    return SEVERAL if value is None else value


def _member(builder: GraphBuilder, ref: Ref, frame: VisibleNames) -> Member:
    name = ref.parts[0]
    around = [(level, found) for level, names in _levels(frame) if (found := names.get(name)) is not None]
    member = next((found for level, found in around if ref.level in (0, level)), None)
    if member is None:
        raise _elsewhere(ref, around) if ref.level and around else _unknown(ref, frame)
    if not ref.level and len(around) > 1:
        _warn_hidden(builder, ref, around)
    for n, part in enumerate(ref.parts[1:], 1):
        inner = member.inner.get(part)
        if inner is None:
            if member.value is not None and builder.shape(member.value) is None:
                return Member(member.value)  # its error is reported already
            if "." in ref.text and (later := _holding(ref, frame)):
                raise _later(ref, ref.text, later)
            name = ".".join(ref.parts[:n])
            raise error(
                "E0410",
                f"`{name}` is left out here, so it has no `{part}`"
                if member.left_out
                else f"`{name}` has no node `{part}`",
                ref.span,
                help="give this node the same `when`" if member.left_out else did_you_mean(part, member.inner),
            )
        member = inner
    return member


def _levels(frame: VisibleNames) -> Iterator[tuple[int, Mapping[str, Member]]]:
    """The names of the sequences around a node, innermost first, with the number of dots that select each."""
    at_frame: VisibleNames | None = frame
    level = 0
    while at_frame is not None:
        level += at_frame.named
        yield level, at_frame.names
        at_frame = at_frame.parent


def _elsewhere(ref: Ref, around: Sequence[tuple[int, Member]]) -> ArchError:
    name = ".".join(ref.parts)
    choices = " or ".join("`" + "." * level + name + "`" for level, _ in around)
    return error(
        "E0410",
        f"no node `{ref.parts[0]}` in the mapping that `{ref.text}` names",
        ref.span,
        help=f"write {choices}",
    )


def _warn_hidden(builder: GraphBuilder, ref: Ref, around: Sequence[tuple[int, Member]]) -> None:
    """Report a reference that names nodes of two sequences (W0425)."""
    (level, read), (outer, hidden) = around[:2]
    name = ".".join(ref.parts)
    labels = [
        Label(builder.nodes[member.value].origin.span, f"`{dots * '.'}{name}`: {what}")
        for dots, member, what in ((level, read, "this one is read"), (outer, hidden, "this one is hidden"))
        if member.value is not None
    ]
    builder.report.add(
        Diagnostic(
            "W0425",
            f"`{name}` is the name of two nodes here",
            ref.span,
            severity="warning",
            labels=tuple(labels),
            help=Proposal(
                f"write `{level * '.'}{name}` or `{outer * '.'}{name}`, or rename one of them",
                f"{level * '.'}{name}",
                name,
                safe=True,  # it is what the reference reads now
            ),
        )
    )


def _unknown(ref: Ref, frame: VisibleNames) -> ArchError:
    name = ref.parts[0]
    visible: list[str] = []
    inside: list[str] = []
    block = ""
    at_frame: VisibleNames | None = frame
    while at_frame is not None:
        if name in at_frame.later:
            return _later(ref, name, at_frame)
        if any(
            isinstance(item, MapSyntax) and any(key.text == name for key, _ in item.entries) for item in at_frame.items
        ):
            help_ = f"items of a list have numbers: for a node named `{name}`, write a mapping, without `-`"
            return error("E0410", f"unknown node `{name}`", ref.span, help=help_)
        visible += at_frame.names
        inside += (f"{outer}.{name}" for outer, member in at_frame.names.items() if name in member.inner)
        block = at_frame.block
        at_frame = at_frame.parent
    dotted = _holding(ref, frame)
    if dotted is not None:
        return _later(ref, ref.text, dotted)
    if inside:
        write = " or ".join(f"`{path}`" for path in inside[:3])
        return error("E0410", f"unknown node `{name}`", ref.span, help=Proposal(f"write {write}", inside[0], name))
    own = frame.later.get(frame.current)
    listed = {other.parts[0] for other in (own.sources if own is not None else None) or ()}
    unread = [known for known in visible if known not in listed]  # a list that names a node twice is no repair
    hint = did_you_mean(name, unread)
    if block and closest(name, unread) is None:
        hint = (
            hint + "\n" if hint else ""
        ) + f"the block `{block}` can only read its own nodes and inputs, not the nodes of its caller"
    return error("E0410", f"unknown node `{name}`", ref.span, help=hint)


def _holding(ref: Ref, frame: VisibleNames) -> VisibleNames | None:
    """The sequence that contains a dotted key equal to the reference."""
    at_frame: VisibleNames | None = frame
    while at_frame is not None and ref.text not in at_frame.later:
        at_frame = at_frame.parent
    return at_frame


def _later(ref: Ref, name: str, frame: VisibleNames) -> ArchError:
    """A reference to a node that is not built yet: the node itself, one of a cycle, or a later one."""
    if name == frame.current:
        return error("E0411", f"`{name}` cannot read itself", ref.span, help="read an earlier node")
    loop = _cycle(name, frame)
    if loop:
        return error(
            "E0411",
            f"these nodes read each other: {' <- '.join([frame.current, *loop])}",
            ref.span,
            help="a network cannot contain cycles: a node can only read earlier nodes",
        )
    return error(
        "E0411",
        f"`{name}` is defined later: a node can only read earlier nodes",
        ref.span,
        help=f"move `{name}` up, or this node down",
    )


def _cycle(name: str, frame: VisibleNames) -> list[str]:
    """The nodes of a cycle from `name` to the node being built, each read by the one before; else empty."""
    came_from = {name: ""}
    queue = [name]
    for here in queue:
        for source in frame.later[here].sources or ():
            following = source.parts[0]
            if following == frame.current:
                cycle = [following]
                while here:
                    cycle.append(here)
                    here = came_from[here]
                return cycle[::-1]
            if following in frame.later and following not in came_from:
                came_from[following] = here
                queue.append(following)
    return []
