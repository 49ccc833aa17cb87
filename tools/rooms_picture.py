"""Draws the documentation's picture of the rooms from the imports when the pages are built.

An arrow goes from a room to one that it imports, unless other arrows lead there already.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGES = ("normtr", "stream", "training")
PICTURE = "pictures/rooms.svg"
WIDTH, HEIGHT, ACROSS, DOWN = 150, 34, 176, 66
"""The size of a box, and the distance from one box to the next, in pixels."""
Graph = dict[str, set[str]]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the picture; MkDocs calls this."""
    files.append(File.generated(config, PICTURE, content=drawn(direct(rooms()))))
    return files


def rooms() -> Graph:
    """Return the rooms that each room imports; modules directly in a package count as one room."""
    graph: Graph = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
            needed = graph.setdefault(room, set())
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and path.name != "__init__.py":
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                    needed |= {room_of(name) for name in names if name.split(".")[0] in PACKAGES}
    return {room: needed - {room} for room, needed in graph.items()}


def room_of(module: str) -> str:
    """Return `stream.pipeline` for `stream.pipeline.events`, and `stream` for `stream.clock`."""
    package, *rest = module.split(".")
    inside = rest and package != "normtr" and (ROOT / package / rest[0]).is_dir()
    return f"{package}.{rest[0]}" if inside else package


def direct(graph: Graph) -> Graph:
    """Return only the arrows that no way through other rooms replaces."""
    reached: Graph = {}
    for room in TopologicalSorter(graph).static_order():
        reached[room] = set(graph[room]).union(*(reached[needed] for needed in graph[room]))
    return {
        room: {one for one in needed if not any(one in reached[other] for other in needed)}
        for room, needed in graph.items()
    }


def drawn(graph: Graph) -> str:
    """Draw an SVG in which a room stands above all rooms that it imports."""
    level: dict[str, int] = {}
    for room in TopologicalSorter(graph).static_order():
        level[room] = max((level[needed] + 1 for needed in graph[room]), default=0)
    place: dict[str, tuple[int, int]] = {}
    for room in sorted(level):
        side = {"normtr": 1, "stream": 0, "training": 2}[room.split(".")[0]]
        row = [other for other in place if level[other] == level[room] and other[0] == room[0]]
        x, y = ACROSS * (side + len(row)), DOWN * (max(level.values()) - level[room])
        place[room] = (x + 10, y + 10)
    width = max(x for x, _ in place.values()) + WIDTH + 10
    height = max(y for _, y in place.values()) + HEIGHT + 10
    lines = [line(place[room], place[one]) for room in graph for one in sorted(graph[room])]
    boxes = [box(room, *place[room]) for room in place]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="sans-serif" font-size="14">',
            '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="8" refY="4" '
            'orient="auto"><path d="M0,0 L9,4 L0,8 z" fill="#777"/></marker></defs>',
            *lines,
            *boxes,
            "</svg>",
        ]
    )


def line(above: tuple[int, int], below: tuple[int, int]) -> str:
    """Draw an arrow from the lower edge of a box to the upper edge of another one."""
    x1, y1, x2, y2 = above[0] + WIDTH // 2, above[1] + HEIGHT, below[0] + WIDTH // 2, below[1]
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#777" stroke-width="1.5" '
        'marker-end="url(#head)"/>'
    )


def box(room: str, x: int, y: int) -> str:
    """Draw a room with its name."""
    fill = {"normtr": "#e8d9a8", "stream": "#bcd7ec", "training": "#c9e3c0"}[room.split(".")[0]]
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="#555"/><text x="{x + WIDTH // 2}" y="{y + 22}" text-anchor="middle" '
        f'fill="#111">{room}</text>'
    )
