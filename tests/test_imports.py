"""The arrows of the house (design.md section 2), and that light programs start light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("normtr", "stream", "training")
HEAVY = ("torch", "openvino", "cv2", "sounddevice", "transformers", "faster_whisper", "av")


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file of every module of ours."""
    out = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def imported(path: Path, at_start: bool) -> set[str]:
    """Dotted names that a module imports: all, or only those that its own import needs."""
    out: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            out |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif at_start and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        elif at_start and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
    return out


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("normtr", {"stream", "training", "tests"}),
        ("stream", {"training", "tests"}),
        ("training", {"stream", "tests"}),
    ],
)
def test_a_package_imports_only_what_it_builds_on(package: str, forbidden: set[str]) -> None:
    wrong = {
        f"{module} imports {name}"
        for module, path in modules().items()
        if module.split(".")[0] == package
        for name in imported(path, at_start=False)
        if name.split(".")[0] in forbidden
    }
    assert not wrong


def test_the_core_knows_no_device_socket_or_thread() -> None:
    forbidden = {"sounddevice", "zmq", "threading", "time", "socket", "msgpack"}
    wrong = {
        f"{module} imports {name}"
        for module, path in modules().items()
        if module.split(".")[0] == "normtr"
        for name in imported(path, at_start=False)
        if name.split(".")[0] in forbidden
    }
    assert not wrong


def test_the_product_does_not_know_that_it_is_tested() -> None:
    assert [name for name, path in modules().items() if "pytest" in path.read_text()] == []


def test_what_tests_share_stands_in_support() -> None:
    """So that a test module can be read, moved or left out by itself."""
    wrong = {
        f"{path.name} imports {name}"
        for path in (*(ROOT / "tests").rglob("*.py"), *(ROOT / "tools").glob("*.py"))
        for name in imported(path, at_start=False)
        if name.startswith("tests.test_")
    }
    assert not wrong


def test_no_two_modules_need_each_other_to_be_imported() -> None:
    known = modules()
    graph = {
        module: {name for name in imported(path, at_start=True) if name in known} - {module}
        for module, path in known.items()
    }
    assert len(tuple(TopologicalSorter(graph).static_order())) >= len(known)  # CycleError otherwise


def test_a_folder_of_the_users_hides_no_module_from_the_processes_that_are_started() -> None:
    """Python looks for modules in the working directory first, unless it is told `-P`."""
    commands = [
        (module, [ast.unparse(word) for word in node.elts[:2]])
        for module, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.List)
        and node.elts
        and ast.unparse(node.elts[0]) == "sys.executable"
    ]
    assert len(commands) >= 6
    assert [module for module, words in commands if words[1] != "'-P'"] == []


@pytest.mark.parametrize("package", ["stream", "training"])
def test_the_rooms_of_a_package_need_each_other_one_way(package: str) -> None:
    """A room is a folder; a module directly in the package is one by itself."""
    known = modules()

    def room(module: str) -> str:
        return ".".join(module.split(".")[:2])

    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        if module.split(".")[0] != package or module == package:
            continue
        needed = {name for name in imported(path, at_start=False) if name in known}
        rooms = {room(name) for name in needed if name.split(".")[0] == package}
        graph.setdefault(room(module), set()).update(rooms - {room(module), package})
    assert tuple(TopologicalSorter(graph).static_order())  # CycleError otherwise
    directly = [path for path in (ROOT / package).glob("*.py") if path.name != "__init__.py"]
    assert len(directly) <= 8


@pytest.mark.parametrize(
    "module",
    [
        *(
            "normtr.cli",
            "stream.wire",
            "stream.client",
            "stream.commands.watch",
            "stream.commands.replay",
        ),
        *(
            "stream.commands.overlay",
            "stream.overlay.app",
            "stream.commands.live",
            "stream.commands.calibrate",
        ),
        *(
            "stream.bench.live",
            "stream.bench.wire",
            "training.commands.bench_model",
            "stream.commands.doctor",
        ),
    ],
)
def test_light_programs_start_without_heavy_packages(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.split() == []
