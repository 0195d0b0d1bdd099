"""Keys as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.prompt import Key, parse_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("A minor", Key(9, minor=True)),
        ("f# major", Key(6)),
        ("Bbm", Key(10, minor=True)),
        ("C", Key(0)),
        ("CM", Key(0)),
        ("e-flat minor", Key(3, minor=True)),
        ("Cb", Key(11)),
        ("B sharp", Key(0)),
    ],
)
def test_reads_common_spellings(text: str, key: Key) -> None:
    assert parse_key(text) == key


@given(st.integers(0, 11), st.booleans())
def test_reads_what_it_writes(root: int, minor: bool) -> None:
    assert parse_key(str(Key(root, minor))) == Key(root, minor)


@pytest.mark.parametrize("text", ["", "H minor", "A minor seventh", "42"])
def test_refuses_the_rest_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="A minor"):
        parse_key(text)
