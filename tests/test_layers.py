"""The direction of imports, as docs/architecture.md draws it, and what a start may not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sottovoce

PACKAGE = Path(sottovoce.__file__).parent
VALUES = ("version", "machine", "plain", "audio", "prompt", "moods", "recipe", "progress", "errors")
#: What each part may import besides itself.
MAY_IMPORT = {
    **dict.fromkeys(VALUES, ()),
    "prompt": ("audio",),
    "dsp": VALUES,
    "media": (*VALUES, "dsp"),
    "database": VALUES,
    "weights": VALUES,
    "synth": (*VALUES, "dsp"),
    "composer": (*VALUES, "dsp", "synth"),
    "library": (*VALUES, "dsp", "media", "database"),
    "jobs": (*VALUES, "database"),
    "client": (*VALUES, "media", "jobs"),
    "bugs": VALUES,
    "logs": (),
    "engines": (*VALUES, "dsp", "media", "weights", "composer"),
    "tasks": (*VALUES, "dsp", "media", "weights", "engines"),
    "config_file": ("errors", "media"),
    "settings": (*VALUES, "engines", "tasks", "config_file"),
    "places": (*VALUES, "media"),
    "speeds": VALUES,
    "studio": (
        *VALUES,
        "places",
        "speeds",
        "dsp",
        "media",
        "weights",
        "database",
        "library",
        "jobs",
        "engines",
        "tasks",
        "settings",
    ),
    "worker": (*VALUES, "bugs", "logs", "places", "jobs", "engines", "tasks", "settings", "studio"),
    "daemon": (*VALUES, "bugs", "places", "weights", "library", "engines", "tasks", "settings", "studio", "worker"),
    "server": (
        *VALUES,
        "bugs",
        "places",
        "media",
        "weights",
        "library",
        "jobs",
        "engines",
        "tasks",
        "settings",
        "studio",
    ),
    "doctor": (*VALUES, "dsp", "media", "library", "engines", "settings", "studio"),
    "calls": (*VALUES, "library", "tasks", "studio"),
    "cli": (
        *VALUES,
        "dsp",
        "weights",
        "library",
        "engines",
        "tasks",
        "settings",
        "places",
        "speeds",
        "studio",
        "doctor",
        "bugs",
        "logs",
        "jobs",
        "worker",
        "daemon",
        "server",
        "client",
    ),
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "manager", "service", "factory", "handler", "misc"}
VERBS = {"generate", "separate", "score", "mood"}
HEAVY = ("torch", "diffusers", "transformers", "demucs", "openvino", "matplotlib", "fastapi")

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path) -> set[str]:
    """Names of our modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {node.module} if node.module != "sottovoce" else {f"sottovoce.{alias.name}" for alias in node.names}
            )
    return {name for name in found if name.split(".")[0] == "sottovoce"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_above(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        return
    wrong = {name for name in imports(path) if part_of(name) not in (own, *MAY_IMPORT[own])}
    assert not wrong, f"{own} may not import {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_names_are_imported(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    private = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sottovoce")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.endswith("__")
    ]
    assert not private


def test_modules_are_named_by_what_they_hold() -> None:
    names = {path.stem for path in MODULES} | {path.name for path in PACKAGE.rglob("*") if path.is_dir()}
    assert not names & FORBIDDEN_NAMES
    assert not {path.stem for path in PACKAGE.glob("*")} & VERBS, (
        "sottovoce.generate is a function, so no module may hide it"
    )


def test_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, sottovoce, sottovoce.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_help_imports_no_arrays_and_no_database() -> None:
    code = "import sys, sottovoce.cli as c; c.run(['--help']); print([n for n in ('numpy', 'sqlalchemy', 'pydantic', 'httpx') if n in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip().splitlines()[-1] == "[]"
