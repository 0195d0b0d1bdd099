"""What owners set is theirs alone, and goes with their token."""

from __future__ import annotations

import pytest

from sottovoce.library.preferences import Preferences
from sottovoce.library.tokens import Tokens
from sottovoce.library.tracks import Library


@pytest.fixture
def kept(library: Library) -> Preferences:
    return Preferences(library.database)


def test_values_are_changed_and_taken_back_one_by_one(kept: Preferences) -> None:
    kept.change("anna", {"audio.ducking_ratio": 3, "engines.generators": ["composer"]}, {})
    kept.change("anna", {"audio.ducking_ratio": 4.5}, {"lalalai.api_key": "k"})
    assert kept.values("anna") == {"audio.ducking_ratio": 4.5, "engines.generators": ["composer"]}
    assert kept.secrets("anna") == {"lalalai.api_key": "k"}
    kept.change("anna", {"audio.ducking_ratio": None}, {"lalalai.api_key": None})
    assert kept.values("anna") == {"engines.generators": ["composer"]}
    assert kept.secrets("anna") == {}


def test_others_have_none_of_it(kept: Preferences) -> None:
    kept.change("anna", {"audio.ducking_ratio": 3}, {"lalalai.api_key": "k"})
    assert kept.values("bert") == kept.secrets("bert") == {}
    kept.change("bert", {"audio.ducking_ratio": None}, {"lalalai.api_key": None})
    assert kept.values("anna") == {"audio.ducking_ratio": 3}
    assert kept.secrets("anna") == {"lalalai.api_key": "k"}


def test_a_revoked_token_leaves_no_key_behind(kept: Preferences, library: Library) -> None:
    tokens = Tokens(library.database)
    token, _ = tokens.create("anna")
    kept.change(token.id, {"audio.ducking_ratio": 3}, {"lalalai.api_key": "k"})
    tokens.revoke("anna")
    assert kept.values(token.id) == kept.secrets(token.id) == {}
