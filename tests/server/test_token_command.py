"""`sotto token`: made, listed and revoked where the server sees it at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sottovoce.cli.token import app
from sottovoce.errors import InvalidParameter
from sottovoce.settings.sections import LibrarySettings, Settings
from sottovoce.studio import Studio


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTO_LIBRARY__DIRECTORY", str(tmp_path / "library"))


def said(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_token_is_shown_once_and_revoked_by_name(tmp_path: Path) -> None:
    secret = said("create", "laptop", "--admin").splitlines()[0]
    assert "not shown again" in said("create", "phone")
    listed = said("list")
    assert "laptop" in listed
    assert "admin" in listed
    assert secret not in listed
    with Studio(Settings(library=LibrarySettings(directory=tmp_path / "library"))) as studio:
        assert studio.tokens.verify(secret) is not None
    assert json.loads(said("revoke", "laptop", "--json"))["revoked"]["name"] == "laptop"
    assert [one["name"] for one in json.loads(said("list", "--json"))["tokens"]] == ["phone"]
    with Studio(Settings(library=LibrarySettings(directory=tmp_path / "library"))) as studio:
        assert studio.tokens.verify(secret) is None


def test_json_has_the_secret_only_when_it_is_made() -> None:
    made = json.loads(said("create", "laptop", "--json"))
    assert made["secret"].startswith("sotto_")
    assert made["secret"] not in said("list", "--json")


def test_no_tokens_is_said() -> None:
    assert said("list").strip() == "no tokens"


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        said("revoke", "nobody")
    with pytest.raises(InvalidParameter):
        said("create", "two words")
