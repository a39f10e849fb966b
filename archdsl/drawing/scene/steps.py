"""A scene built up in steps, one block in each: pictures of equal size for slides."""

from __future__ import annotations

from dataclasses import replace

from archdsl.drawing.scene import Cluster, Element, Point, Scene, items_of
from archdsl.drawing.scene.things import AREAS, BLOCKS, Rect, bounds, flat, is_box, kind_of, path_of


def steps(scene: Scene) -> list[Scene]:
    """Return the pictures of a scene: each has one box more, or one frame and its boxes, and the arrows with both ends.

    An area comes with its first box; what is in no frame and no area is in every picture. The last picture is the whole
    scene, and the only one if there are no boxes.
    """
    members = list(flat(scene.members))
    rects = [bounds(items) if (items := tuple(items_of([m], at))) else None for m, at in members]
    around = [(n, rects[n]) for n, (member, _) in enumerate(members) if _kind(member) in (*BLOCKS, *AREAS)]
    number: dict[int, int] = {}
    by_id: dict[str, int] = {}
    last = -1
    for n, member in sorted(((n, member) for n, (member, _) in enumerate(members)), key=lambda pair: _order(pair[1])):
        if isinstance(member, Cluster) and member.ends is None and is_box(member.id):
            block = next((m for m, rect in around if _kind(members[m][0]) in BLOCKS and _holds(rect, rects[n])), n)
            if block not in number:
                last += 1
                number[block] = last
            number[n] = by_id[member.id] = by_id[path_of(member.id)] = number[block]
    for m, rect in around:
        inside = [step for n, step in number.items() if n != m and _holds(rect, rects[n])]
        number.setdefault(m, min(inside, default=0))
    for n, (member, _) in enumerate(members):
        if isinstance(member, Cluster) and member.ends is not None:
            number[n] = max(by_id.get(end, 0) for end in member.ends)
        elif isinstance(member, Cluster):
            number.setdefault(n, by_id.get(path_of(member.id), 0))
        else:
            number[n] = max((number[m] for m, rect in around if _holds(rect, rects[n])), default=0)
    placed = [member if at == Point(0, 0) else Cluster("", members=[member], shift=at) for member, at in members]
    shown = ([member for n, member in enumerate(placed) if number[n] <= step] for step in range(max(last, 0) + 1))
    return [replace(scene, members=list[Element](some)) for some in shown]


def _order(member: Element) -> int:
    """The number of a box in the order of the network; boxes can be painted in another order."""
    return int(member.facts.get("box", member.facts.get("stage", "0"))) if isinstance(member, Cluster) else 0


def _kind(member: Element) -> str:
    return kind_of(member.id) if isinstance(member, Cluster) else ""


def _holds(rect: Rect | None, other: Rect | None) -> bool:
    """Whether the middle of another rectangle is in a rectangle."""
    if rect is None or other is None:
        return False
    return rect.left < other.middle.x < rect.right and rect.top < other.middle.y < rect.bottom
