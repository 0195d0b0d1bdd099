"""What Sottovoce is run with elsewhere names settings, commands and files that there are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from sottovoce.cli import COMMANDS
from sottovoce.settings import load, rows

REPOSITORY = Path(__file__).resolve().parent.parent
DEPLOY = REPOSITORY / "deploy"
ENV_FILES = sorted(DEPLOY.glob("*.env"))
UNITS = sorted(DEPLOY.glob("*.service"))
KEYS = {row.key for row in rows()}


def compose() -> dict[str, Any]:
    found = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """A Dockerfile's instructions with what follows them, continued lines joined."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest


def in_image() -> dict[str, str]:
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    pairs = [pair for word, rest in instructions(text) if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def in_env(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def in_unit(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(line.partition("=")[0], line.partition("=")[2]) for line in lines if "=" in line and line[0] != "#"]


def environments() -> dict[str, Mapping[str, str]]:
    """Every environment that the studio is started in."""
    services = compose()["services"]
    return {
        "Dockerfile": in_image(),
        **{path.name: in_env(path) for path in ENV_FILES},
        **{f"compose {name}": in_image() | service.get("environment", {}) for name, service in services.items()},
        **{path.name: dict(v.split("=", 1) for n, v in in_unit(path) if n == "Environment") for path in UNITS},
    }


@pytest.mark.parametrize("name", environments())
def test_every_value_is_one_that_the_settings_take(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    environ = environments()[name]
    ours = {variable for variable in environ if variable.startswith("SOTTO_")}
    origins = load(environ=environ).origins
    assert set(origins.values()) == ours
    assert all(key in KEYS for key in origins)


def test_the_example_names_every_setting_with_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    text = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    switched_on = dict(re.findall(r"^# (SOTTO_[A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    loaded = load(environ=switched_on)
    assert {name.removeprefix("SOTTO_").lower().replace("__", ".") for name in switched_on} == KEYS
    assert loaded.settings == load(environ={}).settings


@pytest.mark.parametrize("path", ["compose.yaml", "Dockerfile", "deploy/gpu.sh", "docs/operations.md", "docs/gpu.md"])
def test_every_name_of_a_setting_is_one_there_is(path: str) -> None:
    names = re.findall(r"\bSOTTO_[A-Z_]+__[A-Z_]+\b", (REPOSITORY / path).read_text(encoding="utf-8"))
    assert {name.removeprefix("SOTTO_").lower().replace("__", ".") for name in names} <= KEYS


def commands() -> dict[str, list[str]]:
    """What is called where, without the program's own name."""
    image = dict(instructions((REPOSITORY / "Dockerfile").read_text(encoding="utf-8")))
    ours = {name: one for name, one in compose()["services"].items() if name != "ace-step"}
    return {
        "Dockerfile": yaml.safe_load(image["CMD"]),
        **{name: service["command"] for name, service in ours.items()},
        **{path.name: shlex.split(v)[1:] for path in UNITS for n, v in in_unit(path) if n == "ExecStart"},
    }


@pytest.mark.parametrize("name", commands())
def test_every_command_is_one_there_is(name: str) -> None:
    command, *options = commands()[name]
    assert command in COMMANDS
    app = typer.Typer()
    app.command()(import_module(f"sottovoce.cli.{command}").command)
    known = get_command(app).params
    assert {*options} <= {flag for one in known for flag in (*one.opts, *one.secondary_opts)}


def test_what_goes_into_the_image_is_in_the_project() -> None:
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    copied = [word for name, rest in instructions(text) if name == "COPY" for word in rest.split()[:-1]]
    sources = [name for name in copied if not name.startswith(("--", "/"))]
    let_in = set(re.findall(r"^!(.+)$", (REPOSITORY / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(sources) == let_in
    assert all((REPOSITORY / name).exists() for name in sources)
    if not (shutil.which("git") and (REPOSITORY / ".git").exists()):
        pytest.skip("without git nobody knows which files are kept")
    tracked = subprocess.run(
        ["git", "ls-files", "--", *sources], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {path.split("/")[0] for path in tracked} == set(sources)


def test_targets_and_volumes_are_those_of_the_image() -> None:
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM .* AS (\S+)$", text, re.MULTILINE))
    folders = re.findall(r"^VOLUME (.+)$", text, re.MULTILINE)
    found = compose()
    for name, service in found["services"].items():
        if "build" not in service:
            continue
        assert service["build"]["target"] in stages
        places = [volume.split(":") for volume in service["volumes"]]
        assert [place for _, place in places] == yaml.safe_load(folders[0]), name
        assert {volume for volume, _ in places} == set(found["volumes"])


def test_no_service_of_ours_may_do_more_than_it_needs() -> None:
    for service in compose()["services"].values():
        if "build" in service:
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert service["init"]
    assert "\nUSER sotto\n" in (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")


def test_nothing_names_where_packages_come_from() -> None:
    for path in (REPOSITORY / "Dockerfile", REPOSITORY / "compose.yaml", DEPLOY / "gpu.sh", *ENV_FILES):
        assert not re.search(r"https?://(?!localhost|127\.0\.0\.1|ace-step)", path.read_text(encoding="utf-8")), path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of programs as a bare server has them."""
    for tool in ("sh", "dirname", "uname", "head", "cut", "tr", "df", "awk"):
        found = subprocess.run(["sh", "-c", f"command -v {tool}"], capture_output=True, text=True, check=True).stdout
        (tmp_path / tool).symlink_to(found.strip())
    return tmp_path


def look(bare: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(DEPLOY / "gpu.sh"), "--check"]
    return subprocess.run(command, env={"PATH": str(bare), **more}, capture_output=True, text=True, check=False)


def test_a_server_without_a_driver_is_told_so(bare: Path) -> None:
    done = look(bare)
    assert done.returncode == 1
    assert "NVIDIA's driver" in done.stderr


def test_a_card_is_recognised_and_a_small_one_is_said(bare: Path) -> None:
    for card, small in (("NVIDIA A, 24576, 550.1", False), ("NVIDIA B, 4096, 550.1", True)):
        (bare / "nvidia-smi").write_text(f"#!/bin/sh\necho '{card}'\n")
        (bare / "nvidia-smi").chmod(0o755)
        done = look(bare)
        assert (done.returncode, card in done.stderr, "wants" in done.stderr) == (0, True, small)
    assert look(bare, ENV_FILE="absent.env").returncode == 1
