"""The sections of what serves others: the queue and its workers, and the HTTP server; and of who asks one elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from sottovoce.settings.section import Folder, Section, secret_in

Seconds = Annotated[float, Field(gt=0, le=604_800)]
PerMinute = Annotated[int, Field(ge=1, le=100_000)]


class Budgets(Section):
    """After how many seconds a job of a kind is stopped, however lively it is."""

    generate: Seconds = Field(default=3600, description="How long a job may make music, in seconds.")
    separate: Seconds = Field(default=600, description="How long a job may separate a song, in seconds.")
    score: Seconds = Field(default=3600, description="How long a job may score a clip, in seconds.")
    mood: Seconds = Field(default=600, description="How long a job may read a mood, in seconds.")
    pull: Seconds = Field(default=86_400, description="How long a job may fetch models, in seconds.")


class JobSettings(Section):
    """The queue, and the workers that empty it."""

    max_pending: int = Field(
        default=5, ge=1, le=1000, description="How many pieces of one owner may wait, asked for one at a time."
    )
    workers: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        default="auto",
        description="How many jobs a worker does at once; `auto` is one for each 4 GB of memory beyond the first.",
    )
    stall_seconds: Seconds = Field(
        default=300, description="A job that says nothing for so many seconds is stopped and has failed."
    )
    keep_days: float = Field(
        default=30, gt=0, le=36_500, description="How many days a job that has ended is kept, with its files."
    )
    max_seconds: Budgets = Field(default_factory=Budgets)


class ServerSettings(Section):
    """The HTTP server."""

    host: str = Field(
        default="127.0.0.1", description="The address it listens on; any but this machine's own needs tokens."
    )
    port: int = Field(default=8420, ge=0, le=65_535, description="The port it listens on; 0 takes a free one.")
    max_upload_mb: int = Field(default=4096, ge=1, le=1_000_000, description="The largest upload, in MB.")
    max_duration_seconds: Seconds = Field(default=14_400, description="The longest upload, in seconds.")
    separation_max_mb: int = Field(
        default=100, ge=1, le=1_000_000, description="The largest song that `/api/separate` takes, in MB."
    )
    separation_max_seconds: Seconds = Field(
        default=600, description="The longest song that `/api/separate` takes, in seconds."
    )
    rate_per_minute: PerMinute = Field(default=60, description="How many requests a caller may make in a minute.")
    heavy_per_minute: PerMinute = Field(
        default=10, description="How many jobs and uploads a caller may send in a minute."
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="The names it answers to besides this machine's own; with any, tokens are needed."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="The addresses of proxies whose word on the caller's address is believed."
    )
    token_file: Folder | None = Field(
        default=None, description="A file with the token of a first administrator, for containers."
    )


class ClientSettings(Section):
    """A studio elsewhere that does what the commands ask."""

    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+",
        description="The server that does what `generate`, `separate`, `score`, `mood` and `jobs` ask, such as `http://localhost:8420`; left out, this machine does it.",
    )
    token: SecretStr | None = Field(
        default=None, description="The token shown to it; only from the environment, never from a file of settings."
    )
    token_file: Folder | None = Field(default=None, description="A file that holds the token and nothing else.")

    def secret(self) -> str | None:
        """The token, wherever it stands; InputUnreadable for a file that cannot be read."""
        if self.token is not None:
            return self.token.get_secret_value()
        return None if self.token_file is None else secret_in(self.token_file, "token")
