"""No caller takes the server from the others: requests a minute, bytes a request, work at once."""

from __future__ import annotations

from functools import partial

import pytest
from starlette.datastructures import Headers
from tests.server.conftest import Server, Start, error_of

from sottovoce import errors
from sottovoce.server.gate import _network
from sottovoce.server.limits import Buckets, Slots, buckets, check_length


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _standing_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers whose buckets do not refill meanwhile, however slow this machine is."""
    monkeypatch.setattr("sottovoce.server.app.buckets", partial(buckets, clock=Clock()))


def test_a_bucket_is_full_at_first_and_refills_evenly() -> None:
    clock = Clock()
    rates = Buckets({"heavy": 3, "other": 60, "reading": 600}, clock=clock)
    for _ in range(3):
        rates.take("heavy", "anna")
    with pytest.raises(errors.RateLimited, match="3 jobs and uploads") as refused:
        rates.take("heavy", "anna")
    assert refused.value.details["retry_after"] == 20
    rates.take("heavy", "bert")
    rates.take("other", "anna")
    clock.now = 20
    rates.take("heavy", "anna")
    with pytest.raises(errors.RateLimited):
        rates.take("heavy", "anna")
    clock.now = 10_000
    for _ in range(3):
        rates.take("heavy", "anna")
    with pytest.raises(errors.RateLimited):
        rates.take("heavy", "anna")


def test_both_names_of_a_caller_count_and_a_refusal_costs_nothing() -> None:
    clock = Clock()
    rates = Buckets({"heavy": 2, "other": 2, "reading": 2}, clock=clock)
    rates.take("other", "anna", "address")
    rates.take("other", "bert", "address")
    for _ in range(5):
        with pytest.raises(errors.RateLimited):
            rates.take("other", "carl", "address")
    rates.take("other", "carl", "elsewhere")
    rates.take("other", "carl", "elsewhere")


def test_callers_are_not_remembered_without_end() -> None:
    rates = Buckets({"heavy": 1, "other": 1, "reading": 1}, clock=Clock())
    for number in range(20_000):
        rates.take("other", str(number))
    assert len(rates._levels) == 10_000


def test_reading_is_ten_times_as_free() -> None:
    rates = buckets(2, 1, clock=Clock())
    for _ in range(20):
        rates.take("reading", "anna")
    with pytest.raises(errors.RateLimited):
        rates.take("reading", "anna")


def test_slots_are_given_back() -> None:
    slots = Slots(1)
    with slots.taken(), pytest.raises(errors.RateLimited), slots.taken():
        pass
    with pytest.raises(ZeroDivisionError), slots.taken():
        raise ZeroDivisionError
    with slots.taken():
        pass


@pytest.mark.parametrize("said", ["", "x", "-1", "10"])
def test_lengths_that_are_fine_or_no_lengths_pass(said: str) -> None:
    check_length(Headers({"Content-Length": said}), 10)


def test_a_customer_of_ipv6_has_one_bucket() -> None:
    assert _network("2001:db8:1:2::1") == _network("2001:db8:1:2:ffff::9") != _network("2001:db8:1:3::1")
    assert _network("192.0.2.1") == "192.0.2.1"
    assert _network("") == ""


def test_jobs_are_limited_before_readings(start: Start) -> None:
    server = start(rate_per_minute=4, heavy_per_minute=2)
    client = server.client()
    body = {"kind": "generate", "prompt": ""}
    assert [client.post("/api/jobs", json=body).status_code for _ in range(3)] == [422, 422, 429]
    refused = client.post("/api/jobs", json=body)
    assert error_of(refused)["code"] == "RATE_LIMITED"
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/api/jobs").status_code == 200
    assert client.patch("/api/tracks/x", json={}).status_code == 404
    assert [client.get("/api/jobs").status_code for _ in range(45)].count(429) >= 1


def test_guessing_tokens_is_limited_by_address(start: Start) -> None:
    server = start(rate_per_minute=5, heavy_per_minute=3)
    secret = server.token("anna")
    guess = server.client("sotto_guess")
    assert [guess.get("/api/jobs").status_code for _ in range(6)] == [401] * 5 + [429]
    login = server.client()
    assert [login.post("/login", json={"token": "x"}).status_code for _ in range(4)] == [401] * 3 + [429]
    assert server.client(secret).get("/api/jobs").status_code == 200


def test_a_trusted_proxy_tells_callers_apart_and_nobody_else_does(start: Start) -> None:
    server = start(rate_per_minute=2, trusted_proxies=("127.0.0.1",), hosts=("x",))
    guess = server.client("sotto_guess")

    def asked(forwarded: str) -> int:
        return guess.get("/api/jobs", headers={"X-Forwarded-For": forwarded}).status_code

    assert [asked("192.0.2.1") for _ in range(3)] == [401, 401, 429]
    assert asked("192.0.2.2") == 401
    assert asked("192.0.2.99, 192.0.2.1") == 429


def test_forwarded_addresses_of_strangers_are_not_believed(start: Start) -> None:
    server = start(rate_per_minute=2)
    server.token("anna")
    guess = server.client("sotto_guess")
    codes = [guess.get("/api/jobs", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(3)]
    assert codes == [401, 401, 429]


def test_fields_are_not_endless(server: Server) -> None:
    def endless() -> object:
        for _ in range(40):
            yield b" " * 50_000

    client = server.client()
    said = client.post("/api/jobs", content=b" " * 2_000_000, headers={"Content-Type": "application/json"})
    assert (said.status_code, error_of(said)["code"]) == (413, "FILE_TOO_LARGE")
    counted = client.post("/api/jobs", content=endless(), headers={"Content-Type": "application/json"})  # type: ignore[arg-type]
    assert (counted.status_code, error_of(counted)["code"]) == (413, "FILE_TOO_LARGE")
