"""Separation by lalal.ai: in the cloud, paid by the minute and stem, never taken unless it is named.

What was sent is noted in the run's memo before it is sent, so that a job that is taken up again asks for what it has paid for and pays
for nothing twice.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from sottovoce import errors
from sottovoce.audio import AudioReader, Stem, StemWriter
from sottovoce.engines import remote
from sottovoce.engines.base import Capabilities, EngineOptions, Run, Separation, Unavailable
from sottovoce.engines.lalalai_stems import PHOENIX, SPLITTERS, STEMS, LalalaiOptions, Split, splits_of
from sottovoce.engines.lalalai_wire import BASE_URL, CHECK_SECONDS, KEY_USED, Api, Unanswered
from sottovoce.version import __version__

_MEMO = "lalalai"
#: Checks without a good answer, or without a task in it, are put up with for so long.
_PATIENCE_SECONDS = 600.0
_SERVER_ERRORS = 5
_GET_KEY = "Set LALALAI_API_KEY to the key of a lalal.ai plan with API access."


class LalalaiConfig(BaseModel):
    """The section `lalalai` of the settings; `key_known` says whether there is a key for whoever runs here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_minutes_per_job: Annotated[float, Field(ge=1)] = 30.0
    key_known: bool = False


@dataclass(frozen=True)
class Quote:
    """What a separation costs: length × stems."""

    minutes: float
    stems: int

    def __str__(self) -> str:
        return f"{self.minutes:.1f} minutes of lalal.ai"


@dataclass
class _Sent:
    """What was sent, kept in the memo: the upload, and for each task its idempotency key and, once known, its id."""

    run: Run
    source: str | None = None
    expires: float = 0.0
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> _Sent:
        return cls(run, **(run.memo.get(_MEMO) or {}))

    def save(self) -> None:
        self.run.memo[_MEMO] = {
            "source": self.source,
            "expires": self.expires,
            "keys": dict(self.keys),
            "ids": dict(self.ids),
        }
        self.run.memo.save()

    def drop(self, task: str) -> None:
        """Forget a task that failed, so that another try orders it, and only it, again."""
        self.keys.pop(task, None)
        self.ids.pop(task, None)
        self.save()

    def forget(self) -> None:
        self.source, self.expires, self.keys, self.ids = None, 0.0, {}, {}
        self.save()


class Lalalai:
    """Stems by lalal.ai at the source's rate and exact length. Deletes what it uploaded once the stems are here."""

    name: ClassVar[str] = "lalalai"
    title: ClassVar[str] = "lalal.ai (cloud, paid)"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[LalalaiConfig]] = LalalaiConfig
    section: ClassVar[str | None] = "lalalai"
    Options: ClassVar[type[LalalaiOptions]] = LalalaiOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("separate",),
        stems=STEMS,
        deterministic=False,
        needs="a lalal.ai key and the network; the song is uploaded, and deleted there afterwards",
        licence="commercial service",
        paid=True,
        quality="for stems no local model has, or with no GPU; minutes are length × stems",
    )

    def __init__(
        self,
        config: LalalaiConfig,
        weights: object = None,
        device: str = "cpu",
        *,
        base_url: str = BASE_URL,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config, self.weights, self.device = config, weights, device
        self._base_url, self._clock, self._sleep = base_url, clock, sleep

    def unavailable(self) -> Unavailable | None:
        """Whether there is a key; the service itself is not asked."""
        return None if self.config.key_known else Unavailable("no lalal.ai key is known", _GET_KEY)

    def close(self) -> None:
        """It holds nothing between calls."""

    def stems_of(self, model: str | None) -> tuple[Stem, ...]:
        """All there are; strings, synth and wind only of the networks phoenix and auto."""
        if model is not None and model not in SPLITTERS:
            raise errors.InvalidParameter(f"lalalai has no model {model!r}; it has {', '.join(SPLITTERS)}")
        every = model in (None, "auto", "phoenix")
        return tuple(stem for stem in self.capabilities.stems if every or stem not in PHOENIX)

    def quote(self, source: AudioReader, options: LalalaiOptions) -> Quote:
        """What a separation would cost; asks nobody."""
        return self.quote_of(source.frames / source.rate, options)

    def quote_of(self, seconds: float, options: LalalaiOptions) -> Quote:
        """What a separation of so many seconds would cost; asks nobody."""
        count = len(splits_of(options))
        return Quote(math.ceil(seconds * count / 6) / 10, count)

    def minutes_left(self, run: Run) -> float:
        """How many minutes are paid for."""
        with self._api(run) as api:
            return api.minutes_left()

    def cancel(self, tasks: Sequence[str], run: Run) -> Mapping[str, bool]:
        """Stop tasks by id, one's own and no others; which of them were stopped."""
        with self._api(run) as api:
            return api.cancel(tasks) if tasks else {}

    def abandon(self, run: Run) -> tuple[str, ...]:
        """Stop what a run's memo says goes on there, and have its upload removed; the ids of the tasks."""
        sent = _Sent.of(run)
        tasks = tuple(sent.ids.values())
        if sent.source is not None:
            with self._api(run) as api:
                self._abandon(sent, api)
        return tasks

    def settled(self, options: EngineOptions, run: Run) -> Mapping[str, Any]:
        """Nothing but the options: its limit of minutes changes no stem."""
        del options, run
        return {}

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        """Upload, have the stems made, fetch and write them; InvalidParameter over the limit of minutes, QuotaExceeded without minutes left.

        A cancel stops the tasks there too. An error that may pass leaves them, and the same job run again takes them up.
        """
        assert isinstance(options, LalalaiOptions)
        splits, sent, quote = splits_of(options), _Sent.of(run), self.quote(source, options)
        with self._api(run) as api, TemporaryDirectory(prefix="sotto-") as folder:
            if not sent.keys:
                self._check_cost(quote, api, run)
            try:
                self._send(source, splits, sent, api)
                files = self._collect(splits, sent, api, Path(folder))
            except (errors.Cancelled, KeyboardInterrupt):
                self._abandon(sent, api)
                raise
            except _TaskFailed as error:
                sent.drop(error.task)
                raise
            notes = [*_written(files, splits, source, sink), *self._deleted(sent, api)]
        run.report("separate", 100)
        stems = tuple(stem for split in splits for stem in split.tracks.values())
        said = f"lalal.ai charges {quote.minutes:.1f} minutes ({quote.stems} × {source.frames / source.rate / 60:.1f})"
        return Separation(stems, options.model, options.model_dump(), (said, *notes))

    def _api(self, run: Run) -> Api:
        key = run.credentials.get("lalalai")
        if not key:
            raise errors.BackendNotInstalled("lalalai cannot run here: no lalal.ai key is known", hint=_GET_KEY)
        return Api(key, base_url=self._base_url)

    def _check_cost(self, quote: Quote, api: Api, run: Run) -> None:
        run.report(f"{quote}", 0)
        most = self.config.max_minutes_per_job
        if quote.minutes > most:
            raise errors.InvalidParameter(
                f"this would cost {quote} ({quote.stems} stems), and lalalai.max_minutes_per_job allows {most:g}",
                hint="Ask for fewer stems or for --preview 60, or `sotto config set lalalai.max_minutes_per_job MINUTES`.",
            )
        left = api.minutes_left(remote.pauser(run, self._sleep, f"{quote}", 0))
        if left < quote.minutes:
            raise errors.QuotaExceeded(
                f"this would cost {quote}, and {left:g} are left", hint="Buy minutes, or ask for less."
            )

    def _send(self, source: AudioReader, splits: Sequence[Split], sent: _Sent, api: Api) -> None:
        """Upload unless that was done, and start every task that has no id yet; noted before and after each."""
        open_splits = [split for split in splits if split.name not in sent.ids]
        if open_splits and (sent.source is None or sent.expires < time.time() + 60):
            self._upload(source, sent, api)
        pause = remote.pauser(sent.run, self._sleep, "order", 20)
        for split in open_splits:
            sent.keys.setdefault(split.name, str(uuid.uuid4()))
            sent.save()
            try:
                sent.ids[split.name] = api.split(str(sent.source), split.presets, sent.keys[split.name], pause)
            except errors.RemoteFailed as error:
                if error.details.get("code") == KEY_USED:
                    raise _lost(error) from error
                raise
            sent.save()

    def _upload(self, source: AudioReader, sent: _Sent, api: Api) -> None:
        run = sent.run
        with remote.outgoing(source, run, start=0, end=5) as path:
            size = path.stat().st_size
            answer = api.upload(
                lambda: remote.pieces(path, lambda share: run.report("upload", 5 + 15 * share)),
                size,
                f"{uuid.uuid4()}.flac",
                remote.pauser(run, self._sleep, "upload", 5),
            )
        if answer.get("size", size) != size:
            raise errors.RemoteFailed(f"lalal.ai got {answer['size']} of {size} bytes; nothing was charged")
        sent.source, sent.expires = str(answer["id"]), float(answer.get("expires") or time.time() + 86_400)
        sent.save()

    def _collect(self, splits: Sequence[Split], sent: _Sent, api: Api, folder: Path) -> dict[Stem, Path]:
        """Every stem as a file, fetched as soon as it is made."""
        waiting = {sent.ids[split.name]: _Waiting(split) for split in splits}
        files: dict[Stem, Path] = {}
        percent, heard = 20.0, self._clock()
        while waiting:
            pause = remote.pauser(sent.run, self._sleep, "separate", percent)
            try:
                answers = api.check(list(waiting))
            except Unanswered as error:
                self._check_patience(heard, error.message)
                pause(3 * CHECK_SECONDS)
                continue
            if waiting.keys() <= answers.keys():
                heard = self._clock()
            self._check_patience(heard, "it does not know the tasks any more")
            for task in [task for task in waiting if waiting[task].is_done(answers.get(task, {}))]:
                files |= self._fetched(waiting.pop(task).split, answers[task], api, folder, pause)
            done = 100 * (len(splits) - len(waiting)) + sum(one.percent for one in waiting.values())
            percent = max(percent, 20 + 70 * done / (100 * len(splits)))
            if waiting:
                pause(CHECK_SECONDS)
        return files

    def _check_patience(self, heard: float, reason: str) -> None:
        if self._clock() - heard > _PATIENCE_SECONDS:
            raise errors.RemoteFailed(
                f"lalal.ai could not say how the separation goes: {reason}",
                hint="Run the same job again: it takes the tasks up.",
            )

    def _fetched(
        self, split: Split, answer: Mapping[str, Any], api: Api, folder: Path, pause: Callable[[float], None]
    ) -> dict[Stem, Path]:
        tracks = {str(track.get("label")): track for track in answer["result"]["tracks"]}
        files = {}
        for label, stem in split.tracks.items():
            if label not in tracks:
                continue
            url, size = str(tracks[label]["url"]), tracks[label].get("size")
            if not remote.trusted(url, self._base_url):
                raise errors.RemoteFailed(
                    f"lalal.ai names a result elsewhere, at {url.split('?', 1)[0]}; it was not fetched"
                )
            files[stem] = folder / f"{stem}.wav"
            remote.download(api.results, url, files[stem], size=size if isinstance(size, int) else None, pause=pause)
        if not files:
            raise errors.RemoteFailed(
                f"lalal.ai gave {', '.join(tracks) or 'nothing'} where {split.name} was asked for"
            )
        return files

    def _abandon(self, sent: _Sent, api: Api) -> None:
        """Stop what goes on there and have the upload removed; where that fails, both end by themselves within a day."""
        for call, asked in (
            (lambda: api.cancel(list(sent.ids.values())), sent.ids),
            (lambda: api.delete(str(sent.source)), sent.source),
        ):
            if asked:
                try:
                    call()
                except errors.SottovoceError:
                    continue
        sent.forget()

    def _deleted(self, sent: _Sent, api: Api) -> tuple[str, ...]:
        try:
            api.delete(str(sent.source))
        except errors.SottovoceError as error:
            return (f"the song could not be deleted at lalal.ai ({error.message}); it goes by itself within a day",)
        return ()


class _TaskFailed(errors.RemoteFailed):
    """A task ended without a result, for good."""

    def __init__(self, task: str, reason: str) -> None:
        super().__init__(f"lalal.ai could not make {task}: {reason}")
        self.task = task


@dataclass
class _Waiting:
    """A task that is not done yet."""

    split: Split
    percent: float = 0.0
    server_errors: int = 0

    def is_done(self, answer: Mapping[str, Any]) -> bool:
        """Take an answer about it; raises when it has failed."""
        status = answer.get("status")
        if status == "success":
            return True
        if status == "progress":
            self.percent, self.server_errors = float(answer.get("progress") or 0), 0
        if status == "server_error":
            self.server_errors += 1
        if status in ("error", "cancelled") or self.server_errors >= _SERVER_ERRORS:
            error = answer.get("error")
            detail = error.get("detail") or error.get("code") if isinstance(error, Mapping) else error
            raise _TaskFailed(self.split.name, str(detail or status))
        return False


def _written(files: Mapping[Stem, Path], splits: Sequence[Split], source: AudioReader, sink: StemWriter) -> list[str]:
    """Write the stems; what is to be said of them."""
    notes = []
    for stem in [stem for split in splits for stem in split.tracks.values()]:
        if stem not in files:
            remote.write_silence(stem, source.frames, source, sink)
            notes.append(f"lalal.ai found no {stem}: the stem is silent")
            continue
        notes += remote.write_stem(files[stem], stem, source, sink)
    return notes


def _lost(error: errors.RemoteFailed) -> errors.RemoteFailed:
    return errors.RemoteFailed(
        "lalal.ai took the order but its answer was lost, and it does not say it twice; it was not ordered, and not paid for, a second time",
        hint="Look for the result on lalal.ai before starting a new separation.",
        details=error.details,
    )
