"""Who may be asked for results."""

from __future__ import annotations

import pytest

from sottovoce.engines.remote import trusted

BASE = "https://www.lalal.ai"


@pytest.mark.parametrize("url", ["https://www.lalal.ai/x", "https://d.lalal.ai/media/split/1/2/vocals"])
def test_addresses_of_the_service(url: str) -> None:
    assert trusted(url, BASE)


@pytest.mark.parametrize(
    "url",
    [
        "http://d.lalal.ai/x",
        "https://d.lalal.ai:8443/x",
        "https://lalal.ai.evil.example/x",
        "https://evillalal.ai/x",
        "https://user:word@d.lalal.ai/x",
        "https://d.lalal.ai@evil.example/x",
        "https://127.0.0.1/x",
        "file:///etc/passwd",
        "//d.lalal.ai/x",
        "/relative",
        "",
        "https://[",
    ],
)
def test_addresses_of_others(url: str) -> None:
    assert not trusted(url, BASE)


def test_a_service_at_an_address_has_no_other_hosts() -> None:
    assert trusted("http://127.0.0.1:80/x", "http://127.0.0.1")
    assert not trusted("http://x.127.0.0.1/x", "http://127.0.0.1")
    assert not trusted("http://a.localhost/x", "http://localhost")
