"""The planner as the engine and `--enhance` use it: found, loaded when it is needed, asked in our words, answering in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sottovoce import errors
from sottovoce.composer.vocabulary import parse_prompt
from sottovoce.engines.accelerator import resolved_device
from sottovoce.engines.ace_step.codes import CODES_A_SECOND, Planned
from sottovoce.engines.ace_step.options import AceStepConfig
from sottovoce.engines.ace_step.planner.expectation import PLAN_TOKENS, a_token, code_tokens, loading, plan_share
from sottovoce.engines.ace_step.presets import FASTEST_BPM, LONGEST_SECONDS, SHORTEST_SECONDS, SLOWEST_BPM
from sottovoce.engines.base import Enhanced, Run
from sottovoce.engines.captions import LONGEST_ACE_STEP
from sottovoce.progress import OnProgress, ignore, within
from sottovoce.prompt import TIME_SIGNATURES, Key, Prompt, parse_key
from sottovoce.weights.store import Snapshot

if TYPE_CHECKING:
    from sottovoce.engines.ace_step.planner.model import LanguageModel
    from sottovoce.engines.ace_step.planner.plan import Plan, Wish

_METERS = {meter.partition("/")[0]: meter for meter in TIME_SIGNATURES}


class Snapshots(Protocol):
    """Where models lie."""

    def snapshot(self, name: str, progress: OnProgress = ignore) -> Snapshot:
        """A model that is here as a whole."""


@dataclass(frozen=True)
class Said:
    """What a prompt settles, in its fields or in its words."""

    bpm: int | None
    key: Key | None
    meter: str | None

    @classmethod
    def of(cls, prompt: Prompt) -> Said:
        """Fields before words."""
        words = parse_prompt(prompt.words)
        bpm = prompt.bpm or words.bpm
        meter = prompt.time_signature or words.time_signature
        return cls(
            round(min(max(bpm, SLOWEST_BPM), FASTEST_BPM)) if bpm else None,
            prompt.key or words.key,
            meter.partition("/")[0] if meter else None,
        )

    def fields(self) -> dict[str, str]:
        """By the names of the metadata."""
        found = {"bpm": self.bpm, "keyscale": self.key, "timesignature": self.meter}
        return {name: str(value) for name, value in found.items() if value is not None}


class FiveHzPlanner:
    """ACE-Step's language model of one size, kept in memory between calls; the same prompt and seeds give the same plan."""

    def __init__(self, config: AceStepConfig, weights: Snapshots | None) -> None:
        self.config, self.weights = config, weights
        self.name = f"acestep-5hz-lm-{config.lm_model_size.lower()}"
        self._model: LanguageModel | None = None
        self._revision: str | None = None
        self._a_token: float | None = None
        self._lock = threading.RLock()

    def expected(self, seconds: float, tracks: int) -> float:
        """The seconds that a plan, and codes for so many tracks (0: none), are likely to take."""
        each = self._a_token or a_token(resolved_device(self.config.device))
        load = 0.0 if self._model is not None else loading(self.config.lm_model_size)
        return load + each * (PLAN_TOKENS + code_tokens(seconds, tracks))

    def plan(
        self, prompt: Prompt, caption: str, seconds: float, seeds: Sequence[int], run: Run, *, sketch: bool = True
    ) -> Planned:
        """A plan for a caption and so many seconds, and with `sketch` five codes a second for each seed; the first seed makes the plan.

        MODEL_NOT_FOUND, MODEL_LOAD_FAILED, OUT_OF_MEMORY; whatever `run.progress` raises stops it before the next token.
        """
        from sottovoce.engines.ace_step.planner.codes import GUIDANCE, codes, fits
        from sottovoce.engines.ace_step.planner.plan import plan

        count = int(seconds * CODES_A_SECOND + 1e-6)
        with self._lock, self._working(run) as (model, rest):
            share = 100 * plan_share(seconds, len(seeds) if sketch else 0)
            planned = plan(model, _wish(prompt, caption, seconds), seeds[0], _part(rest, 0, share))
            sketched = sketch and fits(model, planned, count)
            part = _part(rest, share, 100)
            made = self._timed(lambda: codes(model, planned, count, seeds, part), seconds) if sketched else []
            echo = {"seed": seeds[0], **({"guidance": GUIDANCE} if made else {}), **self._echo(model, planned)}
        notes = ("the lyrics are too long for the planner to sketch music for them",) if sketch and not made else ()
        return _planned(prompt, caption, planned, tuple(made), {"asked_caption": caption, **echo}, notes)

    def improved(self, prompt: Prompt, run: Run, *, temperature: float = 0.85, with_lyrics: bool = False) -> Enhanced:
        """The prompt said better, with tempo, key and meter; `with_lyrics`: the lyrics, where there are some, laid out anew too.

        Errors as of `plan`; what the prompt settles stays.
        """
        from sottovoce.engines.ace_step.planner.plan import improved
        from sottovoce.engines.ace_step.planner.sampling import Sampling

        wish = _wish(prompt, prompt.words, prompt.seconds)
        if prompt.lyrics and prompt.language:
            wish = replace(wish, settled={**wish.settled, "language": prompt.language})
        sampling, with_lyrics = Sampling(temperature), with_lyrics and bool(prompt.lyrics)
        with self._lock, self._working(run) as (model, rest):
            found = improved(model, wish, prompt.seed, rest, sampling=sampling, with_lyrics=with_lyrics)
        return _enhanced(prompt, found)

    def close(self) -> None:
        """Give the memory back; waits for a call that is on its way."""
        with self._lock:
            if self._model is None:
                return
            self._model = None
            _collect()

    @contextmanager
    def _working(self, run: Run) -> Iterator[tuple[LanguageModel, Run]]:
        """The model, and the part of the run that is left once it is loaded; a card without room says so in our words."""
        from sottovoce.engines.ace_step.planner.model import is_out_of_memory, threads_of

        loaded = self._model is not None
        model = self._ready(_part(run, 0, 10))
        try:
            with threads_of(max(1, run.threads)):
                yield model, run if loaded else _part(run, 10, 100)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise errors.OutOfMemory(
                    f"{self.name} ran out of memory on {model.device}",
                    hint="Type `sotto config set ace_step.lm_model_size 0.6B`, or ask for a shorter --duration.",
                ) from None
            raise errors.ModelInferenceFailed(f"the planner failed: {str(error).splitlines()[0]}") from error

    def _ready(self, run: Run) -> LanguageModel:
        from sottovoce.engines.ace_step.planner.model import resident

        if self._model is None:
            folder = self._folder(run)
            run.report("load the planner", 50)
            device = resolved_device(self.config.device)
            precision = "bfloat16" if device.startswith("cuda") and self.config.bf16 else "float32"
            self._model = resident(folder, device, precision)
        return self._model

    def _folder(self, run: Run) -> Path:
        if self.weights is None:
            raise errors.ModelNotFound(
                f"the weights of {self.name} are not here", hint=f"Type `sotto models pull {self.name}`."
            )
        run.report("find the planner", 0)
        snapshot = self.weights.snapshot(self.name, within(run.progress, 0, 50))
        self._revision = snapshot.model.revision
        return snapshot.folder

    def _timed(self, make: Callable[[], list[str]], seconds: float) -> list[str]:
        begun = time.monotonic()
        made = make()
        self._a_token = (time.monotonic() - begun) / max(1.0, code_tokens(seconds, len(made)))
        return made

    def _echo(self, model: LanguageModel, planned: Plan) -> dict[str, Any]:
        return {
            "model": self.name,
            "revision": self._revision,
            "device": model.device,
            "precision": model.precision,
            **planned.metadata,
        }


def _wish(prompt: Prompt, caption: str, seconds: float) -> Wish:
    from sottovoce.engines.ace_step.planner.plan import Wish
    from sottovoce.engines.ace_step.planner.prompts import INSTRUMENTAL

    duration = int(min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS))
    lyrics = (prompt.lyrics or "").strip() or INSTRUMENTAL
    return Wish(caption, lyrics, {**Said.of(prompt).fields(), "duration": str(duration)})


def _planned(
    prompt: Prompt, caption: str, found: Plan, codes: tuple[str, ...], echo: Mapping[str, Any], notes: tuple[str, ...]
) -> Planned:
    """The plan as the engine takes it: what the prompt's own fields settle is left to them."""
    said, settled = found.metadata, {"bpm": prompt.bpm, "key": prompt.key, "meter": prompt.time_signature}
    written: dict[str, Any] = {
        "bpm": int(said["bpm"]) if "bpm" in said else None,
        "key": str(parse_key(said["keyscale"])) if "keyscale" in said else None,
        "meter": said.get("timesignature"),
    }
    free: dict[str, Any] = {name: value for name, value in written.items() if settled[name] is None}
    sung_in = said.get("language") if prompt.lyrics and prompt.language == "unknown" else None
    return Planned(_cut(said.get("caption", "")) or caption, codes, language=sung_in, notes=notes, echo=echo, **free)


def _enhanced(prompt: Prompt, found: Plan) -> Enhanced:
    said, settled = found.metadata, Said.of(prompt)
    return Enhanced(
        words=_cut(said.get("caption", "")) or prompt.words,
        lyrics=found.lyrics or prompt.lyrics,
        language=prompt.language if prompt.lyrics else None,
        bpm=prompt.bpm or settled.bpm or (float(said["bpm"]) if "bpm" in said else None),
        key=prompt.key or settled.key or (parse_key(said["keyscale"]) if "keyscale" in said else None),
        time_signature=prompt.time_signature or _METERS.get(said.get("timesignature", "")),
    )


def _cut(words: str) -> str:
    """As long as ACE-Step takes, ending with a whole word."""
    if len(words) <= LONGEST_ACE_STEP:
        return words
    return words[: LONGEST_ACE_STEP + 1].rsplit(None, 1)[0].rstrip(",;")[:LONGEST_ACE_STEP]


def _part(run: Run, start: float, end: float) -> Run:
    return replace(run, progress=within(run.progress, start, end))


def _collect() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
