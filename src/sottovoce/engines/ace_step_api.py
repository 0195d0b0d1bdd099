"""Music by an ACE-Step server: ordered, asked after, fetched; several versions as one order where the server takes a seed for each."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from sottovoce import errors
from sottovoce.engines import remote
from sottovoce.engines.ace_step_order import (
    LONGEST_SECONDS,
    SHORTEST_MADE,
    SHORTEST_SECONDS,
    AceStepApiOptions,
    check,
    chosen,
    fields_of,
    settled,
    uploads,
)
from sottovoce.engines.ace_step_wire import (
    EXAMPLE_URL,
    FAILED,
    SUCCEEDED,
    AceStepApiConfig,
    Api,
    ServerModel,
    State,
    Track,
    Unanswered,
    last_line,
)
from sottovoce.engines.base import Capabilities, EngineOptions, Generated, Run, Unavailable
from sottovoce.engines.delivery import delivered
from sottovoce.engines.server_kind import ACE_STEP, ACE_STEP_GRADIO, SOTTOVOCE, Door
from sottovoce.prompt import Prompt
from sottovoce.version import __version__

_POLL_SECONDS = 1.0
#: Polls without a good answer are put up with for so long.
_PATIENCE_SECONDS = 60.0
#: A task the server says nothing of is given up after so long, if the server has nothing to do.
_UNKNOWN_SECONDS = 10.0
_FIRST_PERCENT, _SHARE = 6.0, 84.0
_MEMO = "ace-step-api"
_WHO = "the ACE-Step server"
_LOG = logging.getLogger(__name__)


@dataclass
class _Order:
    """An order for some of the takes: their seeds, its fields, its task, and what was heard of it."""

    seeds: tuple[int, ...]
    fields: Mapping[str, Any]
    task: str = ""
    resumed: bool = False
    progress: float = 0.0
    #: Since when the server has said nothing that shows it knows the task.
    unknown_since: float | None = None
    tracks: tuple[Track, ...] = ()

    @property
    def name(self) -> str:
        """What its task is kept under."""
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Work:
    """What the steps of one call share."""

    api: Api
    prompt: Prompt
    options: AceStepApiOptions
    run: Run
    files: Mapping[str, Path]
    deadline: float
    thinking: bool

    def order(self, seeds: Sequence[int]) -> _Order:
        return _Order(tuple(seeds), fields_of(self.prompt, self.options, seeds, thinking=self.thinking))


class AceStepApi:
    """Music by the server at `ace_step.api_url`; no other server is ever asked. The API knows no cancel: work given up goes on there."""

    name: ClassVar[str] = "ace-step-api"
    title: ClassVar[str] = "ACE-Step on a server"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[AceStepApiConfig]] = AceStepApiConfig
    section: ClassVar[str | None] = "ace_step"
    Options: ClassVar[type[AceStepApiOptions]] = AceStepApiOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        seconds=(SHORTEST_SECONDS, LONGEST_SECONDS),
        rate=48_000,
        lyrics=True,
        tasks=("generate", "cover", "repaint", "extend", "reference"),
        deterministic=False,
        needs="the address of an ACE-Step server in ace_step.api_url",
        licence="MIT",
        quality="neural, with or without voices",
    )

    def __init__(
        self,
        config: AceStepApiConfig,
        weights: object = None,
        device: str = "cpu",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config, self.weights, self.device = config, weights, device
        self._clock, self._sleep = clock, sleep
        self._door = Door(config.api_url, clock) if config.api_url else None

    def unavailable(self) -> Unavailable | None:
        """Whether its address is set, and an ACE-Step server answers there."""
        missing = self.config.missing()
        if missing is not None or self._door is None:
            return missing
        return self._door.unavailable((ACE_STEP, ACE_STEP_GRADIO), "ace_step.api_url", EXAMPLE_URL)

    def close(self) -> None:
        """It holds nothing between calls."""

    def models(self, run: Run) -> tuple[ServerModel, ...]:
        """The models the server has; nothing if it keeps no list."""
        with Api(self.config.address(self.name), run.credentials.get("ace-step")) as api:
            return self._patiently(api.models, run)

    def generate(self, prompt: Prompt, options: EngineOptions, run: Run) -> Generated:
        """One take; see `generate_batch`."""
        return self.generate_batch(prompt, (prompt.seed,), options, run)[0]

    def generate_batch(
        self, prompt: Prompt, seeds: Sequence[int], options: EngineOptions, run: Run
    ) -> tuple[Generated, ...]:
        """A take for each seed. A task that was ordered is taken up again by the same run's memo.

        The errors of `check` and `settled` before anything is made; RemoteFailed in the server's words; TimedOut after
        `ace_step.timeout_seconds`, with the task kept.
        """
        assert isinstance(options, AceStepApiOptions)
        base, deadline = self.config.address(self.name), self._clock() + self.config.timeout_seconds
        check(prompt, options)
        with Api(base, run.credentials.get("ace-step")) as api, TemporaryDirectory(prefix="sotto-") as folder:
            model = chosen(self._patiently(api.models, run), options.model)
            used = settled(options, model, prompt.edit)
            self._check_gradio(prompt)
            with uploads(prompt, run) as files:
                work = _Work(api, prompt, used, run, files, deadline, self.config.use_lm)
                tracks = self._made(work, seeds)
            takes = []
            for index, (seed, track) in enumerate(zip(seeds, tracks, strict=True)):
                percent = _FIRST_PERCENT + _SHARE + (100 - _FIRST_PERCENT - _SHARE) * index / len(seeds)
                path = Path(folder) / f"{index}.wav"
                api.fetch(track.file, path, remote.pauser(run, self._sleep, "download", percent))
                takes.append(_take(path, track, seed, work))
        run.report("generate", 100)
        return tuple(takes)

    def _made(self, work: _Work, seeds: Sequence[int]) -> list[Track]:
        """A finished track for each seed; those that a server short of memory left out are ordered again, one by one."""
        orders = [work.order(part) for part in self._parts(seeds)]
        done = self._finished(orders, work)
        left = [seed for seed in seeds if seed not in done]
        if left:
            done |= self._finished([work.order((seed,)) for seed in left], work)
        if any(seed not in done for seed in seeds):
            raise errors.RemoteFailed(
                f"{_WHO} made {len(done)} of {len(seeds)} versions", hint="Ask for fewer --versions."
            )
        return [done[seed] for seed in seeds]

    def _parts(self, seeds: Sequence[int]) -> list[Sequence[int]]:
        """All seeds in one order where the server reads a list of them, which those do that tell of their models in `/health`."""
        health = self._door.health() if self._door else None
        lists = health is not None and health.kind in (ACE_STEP, SOTTOVOCE) and "models_initialized" in health.facts
        return [tuple(seeds)] if lists else [(seed,) for seed in seeds]

    def _check_gradio(self, prompt: Prompt) -> None:
        files = prompt.edit is not None or prompt.reference is not None
        if files and self._door is not None and self._door.health().kind == ACE_STEP_GRADIO:
            raise errors.InvalidParameter(
                "the Gradio app takes no music to start from", hint="Start `acestep-api` there, and name its address."
            )

    def _finished(self, orders: Sequence[_Order], work: _Work) -> dict[int, Track]:
        """What the orders give, by seed; a cancel stops asking at once."""
        try:
            for index, order in enumerate(orders):
                self._release(order, work, index / len(orders))
            self._wait(orders, work)
        except (errors.Cancelled, KeyboardInterrupt):
            _LOG.info("stopped asking; the ACE-Step API knows no cancel, so what was ordered goes on there")
            _forget(work.run, orders)
            raise
        return {
            seed: track
            for order in orders
            for seed, track in zip(order.seeds, (track for track in order.tracks if track.file), strict=False)
        }

    def _release(self, order: _Order, work: _Work, share: float, *, anew: bool = False) -> None:
        """Order it, unless that was done before; its task is durable before anything is asked about it."""
        known = None if anew else _tasks(work.run).get(order.name)
        order.resumed, order.unknown_since = known is not None, None
        if known is not None:
            order.task = known
            return
        percent = _FIRST_PERCENT + _SHARE * share if self._blocks() else _FIRST_PERCENT
        pause = remote.pauser(work.run, self._sleep, "order", percent)
        left = max(1.0, work.deadline - self._clock())
        order.task = work.api.release(order.fields, work.files, timeout=left, pause=pause)
        _keep(work.run, {order.name: order.task})

    def _blocks(self) -> bool:
        return self._door is not None and self._door.health().kind == ACE_STEP_GRADIO

    def _wait(self, orders: Sequence[_Order], work: _Work) -> None:
        """Ask until every order has ended."""
        open_orders, percent, heard = list(orders), _FIRST_PERCENT, self._clock()
        while open_orders:
            try:
                states = work.api.query([order.task for order in open_orders])
                heard = self._clock()
            except Unanswered as error:
                states = {}
                if self._clock() - heard > _PATIENCE_SECONDS:
                    raise errors.RemoteFailed(
                        error.message, hint="Run the same job again: it takes the tasks up."
                    ) from error
            for order in list(open_orders):
                if order.task in states and self._is_done(order, states[order.task], work):
                    open_orders.remove(order)
            if not open_orders:
                return
            self._check_time(work)
            percent = max(percent, _FIRST_PERCENT + _SHARE * sum(order.progress for order in orders) / len(orders))
            remote.pauser(work.run, self._sleep, "generate", percent)(_POLL_SECONDS)

    def _is_done(self, order: _Order, state: State, work: _Work) -> bool:
        """Take what is said of an order; raises when it has failed or is lost."""
        if state.status == FAILED:
            _forget(work.run, [order])
            raise errors.RemoteFailed(
                f"{_WHO} could not make it: {last_line(state.error)}", details={"error": state.error[-4000:]}
            )
        if state.status == SUCCEEDED:
            order.progress, order.tracks = 1.0, state.tracks
            return True
        order.progress = max(order.progress, state.progress or 0.0)
        if state.known:
            order.unknown_since = None
        elif order.unknown_since is None:
            order.unknown_since = self._clock()
        elif self._clock() - order.unknown_since > _UNKNOWN_SECONDS and work.api.is_idle():
            self._lost(order, work)
        return False

    def _lost(self, order: _Order, work: _Work) -> None:
        """The server has nothing to do and knows nothing of it: what was ordered before this run is ordered anew, once."""
        _forget(work.run, [order])
        if not order.resumed:
            raise errors.RemoteFailed(
                f"{_WHO} does not know its task any more; it may have been started anew", hint="Ask again."
            )
        self._release(order, work, 0.0, anew=True)

    def _check_time(self, work: _Work) -> None:
        if self._clock() > work.deadline:
            raise errors.TimedOut(
                f"{_WHO} took longer than {self.config.timeout_seconds:g} s, or never knew the task",
                hint="`sotto config set ace_step.timeout_seconds SECONDS`; the same job run again takes it up.",
            )

    def _patiently(self, call: Callable[[], tuple[ServerModel, ...]], run: Run) -> tuple[ServerModel, ...]:
        """A call that may be made again some times."""
        pause = remote.pauser(run, self._sleep, "prepare", 0)
        for wait in (1.0, 2.0, 4.0):
            try:
                return call()
            except Unanswered:
                pause(wait)
        return call()


def _take(path: Path, track: Track, seed: int, work: _Work) -> Generated:
    """The track as it is delivered, with what the server did otherwise than asked."""
    prompt = work.prompt
    audio, notes = delivered(path, prompt.seconds, prompt.loudness, loops=prompt.edit is None, who=_WHO)
    if prompt.seconds < SHORTEST_MADE:
        notes.append(f"ACE-Step makes at least {SHORTEST_MADE:g} s; it was ended at {prompt.seconds:g} s")
    if track.seed is None:
        notes.append(f"{_WHO} does not say which seed it used")
    elif track.seed != str(seed):
        notes.append(f"{_WHO} used seed {track.seed} instead of {seed}, so this take cannot be made again by its seed")
    asked = work.options.model
    if asked and track.model and track.model != asked:
        notes.append(f"{_WHO} used its model {track.model} instead of {asked}")
    used = {**work.options.model_dump(), "thinking": work.thinking, "seed_used": track.seed}
    return Generated(
        audio,
        key=str(prompt.key) if prompt.key else track.key,
        options=used,
        notes=tuple(notes),
        model=track.model or asked,
        device="remote",
        precision="unknown",
    )


def _tasks(run: Run) -> dict[str, str]:
    return dict(run.memo.get(_MEMO) or {})


def _keep(run: Run, tasks: Mapping[str, str]) -> None:
    run.memo[_MEMO] = {**_tasks(run), **tasks}
    run.memo.save()


def _forget(run: Run, orders: Sequence[_Order]) -> None:
    gone = {order.name for order in orders}
    run.memo[_MEMO] = {name: task for name, task in _tasks(run).items() if name not in gone}
    run.memo.save()
