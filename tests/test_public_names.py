"""What `import sottovoce` offers."""

from __future__ import annotations

import importlib

import pytest

import sottovoce


def test_public_names_are_pinned_and_sorted() -> None:
    assert sottovoce.__all__ == sorted(sottovoce.__all__)
    assert sottovoce.__all__ == [
        "AsyncClient", "Audio", "Cancelled", "Client", "Done", "Key", "Mood", "Progress", "Prompt", "Recipe", "Settings",
        "SottovoceError", "Stem", "Studio", "Track", "__version__", "generate", "mood", "score", "separate", "separate_array",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sottovoce.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(importlib.import_module("sottovoce"), name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="karaoke"):
        sottovoce.karaoke  # noqa: B018
