"""The launcher and the making of .venv, on a tiny checkout that needs no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

#: A build backend of its own, so that nothing is fetched: an editable wheel with the command `sotto`.
BACKEND = """
import zipfile

METADATA = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: dev\\n"

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/tiny-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "import sys\\ndef main(): print('tiny', *sys.argv[1:])\\n")
        wheel.writestr("tiny-1.dist-info/METADATA", METADATA)
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/entry_points.txt", "[console_scripts]\\nsotto = tiny:main\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return "tiny-1-py3-none-any.whl"

build_wheel = build_editable
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a checkout")
    (folder / "scripts").mkdir()
    for name in ("sotto", "scripts/install", "scripts/environment.py"):
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "constraints.txt").write_text("")
    return folder


def sotto(checkout: Path, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": path or f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(checkout),
        "PIP_NO_INDEX": "1",
    }
    return subprocess.run(
        [checkout / "sotto", *words], env=environment, capture_output=True, text=True, check=False, timeout=600
    )


def ready(checkout: Path) -> str:
    return (checkout / ".venv" / ".ready").read_text()


@pytest.mark.long
def test_the_first_run_makes_the_environment_and_the_next_uses_it(checkout: Path) -> None:
    first = sotto(checkout, "hello", "a b")
    assert (first.returncode, first.stdout) == (0, "tiny hello a b\n"), first.stderr
    assert "making .venv" in first.stderr
    second = sotto(checkout, "again")
    assert (second.stdout, second.stderr) == ("tiny again\n", "")


def test_a_link_to_it_works_from_anywhere(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "sotto"
    link.symlink_to(checkout / "sotto")
    done = subprocess.run([link, "linked"], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "tiny linked\n"


def test_a_changed_project_is_installed_again(checkout: Path) -> None:
    before = ready(checkout)
    (checkout / "pyproject.toml").write_text(PROJECT + "\n# changed\n")
    done = sotto(checkout)
    assert "installing" in done.stderr
    assert "making" not in done.stderr
    assert ready(checkout) != before


@pytest.mark.long
def test_a_half_made_environment_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv" / ".ready").unlink(missing_ok=True)
    (checkout / ".venv" / "bin" / "sotto").unlink()
    done = sotto(checkout, "mended")
    assert "making .venv" in done.stderr
    assert done.stdout == "tiny mended\n"


@pytest.mark.long
def test_a_python_that_is_gone_is_made_anew(checkout: Path) -> None:
    sotto(checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    done = sotto(checkout, "mended")
    assert "making .venv" in done.stderr
    assert done.stdout == "tiny mended\n"


@pytest.mark.long
def test_a_killed_setup_leaves_no_lock(checkout: Path) -> None:
    (checkout / ".venv" / ".ready").unlink(missing_ok=True)
    environment = os.environ | {"PIP_NO_INDEX": "1"}
    work = subprocess.Popen(
        [checkout / "sotto"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert work.stderr is not None
    work.stderr.readline()
    time.sleep(0.3)
    work.kill()
    work.communicate()
    assert sotto(checkout, "free").stdout == "tiny free\n"


def test_without_a_python_it_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    for tool in ("sh", "cat", "cksum", "dirname"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    (checkout / ".venv" / ".ready").unlink(missing_ok=True)
    done = sotto(checkout, path=str(tmp_path))
    assert done.returncode == 1
    assert "apt install python3" in done.stderr
