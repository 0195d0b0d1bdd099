"""The takes of one request on their way: from what was asked through the network to what is delivered."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from sottovoce import errors
from sottovoce.audio import DELIVERY_RATE, Audio, Samples
from sottovoce.engines.accelerator import free_memory, seeded
from sottovoce.engines.ace_step.codes import CODES_A_SECOND, Planned, Planner
from sottovoce.engines.ace_step.course import Course
from sottovoce.engines.ace_step.editing import restored
from sottovoce.engines.ace_step.expectation import learn
from sottovoce.engines.ace_step.finish import finished
from sottovoce.engines.ace_step.loaded import Loaded
from sottovoce.engines.ace_step.lora import Lora
from sottovoce.engines.ace_step.memory import fitting_batch
from sottovoce.engines.ace_step.presets import FAMILY, SHORTEST_SECONDS
from sottovoce.engines.ace_step.request import Asked
from sottovoce.engines.base import Generated, Run
from sottovoce.progress import within
from sottovoce.prompt import Prompt
from sottovoce.weights.download import sha256_of

#: Music that is given to the network is heard with this seed, so that the same file is always heard the same, whichever seed makes the take.
_HEARING_SEED = 0


class Making:
    """The takes of one request on their way."""

    def __init__(self, loaded: Loaded, asked: Asked, prompt: Prompt, run: Run) -> None:
        self.loaded, self.asked, self.prompt, self.run = loaded, asked, prompt, run
        self.notes: list[str] = []
        self.planned: Planned | None = None
        way = loaded.way
        beside = 0 if way.tier == "resident" else loaded.needs.least(way.tier)
        free = free_memory(way.device) - beside
        self.size = asked.batch or fitting_batch(free, asked.frames, len(asked.seeds), way.precision)

    def plan(self, planner: Planner) -> None:
        """Let a planner settle what is open, and sketch the music where the model can take that."""
        asked, place = self.asked, self.loaded.place
        seconds, tracks = ceil(asked.seconds * CODES_A_SECOND) / CODES_A_SECOND, len(asked.seeds)
        sketch = place.has_audio_tokenizer
        planning = planner.expected(seconds, tracks if sketch else 0)
        share = 100 * planning / (planning + sum(self.loaded.expected(asked, tracks).values()))
        part = replace(self.run, progress=within(self.run.progress, 0, share))
        planned = planner.plan(self.prompt, asked.conditions.caption, seconds, asked.seeds, part, sketch=sketch)
        self.asked, self.planned = asked.planned(planned), planned
        self.run = replace(self.run, progress=within(self.run.progress, share, 100))
        self.notes += planned.notes
        if not sketch:
            self.notes.append(f"the files of {place.name} have no audio tokenizer, so the planner sketched no music")

    def takes(self) -> tuple[Generated, ...]:
        """All takes, in the order of the seeds; fewer at once, and all of them again, where memory runs out."""
        from sottovoce.engines.ace_step.pipeline import is_out_of_memory

        while True:
            try:
                made = self._all()
                return tuple(
                    self._generated(samples, seed) for samples, seed in zip(made, self.asked.seeds, strict=True)
                )
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise errors.ModelInferenceFailed(f"the network failed: {str(error).splitlines()[0]}") from error
                if self.size == 1:
                    raise self._too_large() from None
                self.size = max(1, min(self.size, len(self.asked.seeds)) // 2)
                self.notes.append(f"memory ran out, so {self.size} at a time were made")

    def _all(self) -> list[Samples]:
        from sottovoce.engines.ace_step.pipeline import threads_of

        seeds, made = self.asked.seeds, list[Samples]()
        with threads_of(max(1, self.run.threads)):
            for first in range(0, len(seeds), self.size):
                group = seeds[first : first + self.size]
                done = (100 * first / len(seeds), 100 * (first + len(group)) / len(seeds))
                run = replace(self.run, progress=within(self.run.progress, *done))
                made += self._group(first, group, Course(run, self.loaded.expected(self.asked, len(group))))
        return made

    def _group(self, first: int, seeds: Sequence[int], course: Course) -> list[Samples]:
        """The finished tracks of some seeds, made at once."""
        course.at("prepare", 0, 1)
        sound = self.called(first, seeds, course)
        if not np.isfinite(sound).all():
            raise errors.ModelInferenceFailed("the network gave values that are no numbers")
        tracks = []
        for index, samples in enumerate(sound):
            course.at("finish", index, len(seeds))
            tracks.append(self._finished(samples))
        course.end()
        self._learn(course, len(seeds))
        return tracks

    def called(self, first: int, seeds: Sequence[int], course: Course) -> Samples:
        """What the pipeline gives for some seeds: [tracks, 2, frames] at 48 kHz."""
        import torch

        from sottovoce.engines.ace_step.pipeline import Freeing, scheduler

        pipe, asked, device = self.loaded.pipe, self.asked, self.loaded.way.device
        pipe.scheduler = scheduler(asked.scheduler)
        sounds = {"src_audio": asked.editing and asked.editing.source, "reference_audio": asked.reference}
        given = {name: torch.from_numpy(sound) for name, sound in sounds.items() if sound is not None}
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        with ExitStack() as around:
            around.enter_context(Freeing(pipe, device))
            around.callback(self._watch_decoding(course, len(seeds)).remove)
            if device.startswith("cuda"):
                around.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True))
            if asked.hears:
                around.enter_context(seeded(_HEARING_SEED, device))
            made = pipe(
                **asked.arguments(first, len(seeds)),
                **given,
                generator=generators,
                callback_on_step_end=_stepping(course),
                output_type="np",
            )
        sound: Samples = made.audios
        return sound

    def _watch_decoding(self, course: Course, tracks: int) -> Any:
        """Say how far decoding is before each of its tiles; a hook, to be removed."""
        vae = self.loaded.pipe.vae
        stride = vae.tile_latent_min_length - 2 * vae.tile_latent_overlap
        tiled = self.asked.frames > vae.tile_latent_min_length
        total = (ceil(self.asked.frames / stride) if tiled else 1) * (tracks if vae.use_slicing else 1)
        done = 0

        def tile(*_: Any) -> None:
            nonlocal done
            course.at("decode", min(done, total), total)
            done += 1

        return vae.decoder.register_forward_pre_hook(tile)

    def _finished(self, samples: Samples) -> Samples:
        editing = self.asked.editing
        made = np.ascontiguousarray(samples, np.float32)
        if editing is not None:
            made = restored(made, editing)
        return finished(made, self.prompt.seconds, self.prompt.loudness, keeps=editing is not None and editing.keeps)

    def _learn(self, course: Course, tracks: int) -> None:
        learn(self.asked, tracks, course.took, self.loaded.learnt)

    def _generated(self, samples: Samples, seed: int) -> Generated:
        loaded, place = self.loaded, self.loaded.place
        return Generated(
            audio=Audio(samples, DELIVERY_RATE),
            key=self.asked.conditions.key,
            options={**self._echo(), "seed": seed},
            notes=(*self._remarks(), *self.notes),
            model=place.name,
            revision=place.revision,
            sha256=place.sha256,
            device=loaded.way.device,
            precision=loaded.way.precision,
        )

    def _echo(self) -> dict[str, Any]:
        """What was really used."""
        asked = self.asked
        names = ("steps", "guidance", "shift", "scheduler", "task")
        said = {
            name: getattr(asked.conditions, name) for name in ("caption", "lyrics", "language", "bpm", "key", "meter")
        }
        return {
            "model": self.loaded.place.name,
            "model_version": FAMILY,
            **{name: getattr(asked, name) for name in names},
            "batch": min(self.size, len(asked.seeds)),
            "tier": self.loaded.way.tier,
            **said,
            "rendered_seconds": asked.seconds,
            **({"lora": _named(asked.lora)} if asked.lora else {}),
            **({"planner": dict(self.planned.echo), "codes": self.planned.count} if self.planned else {}),
        }

    def _remarks(self) -> list[str]:
        remarks = []
        if self.prompt.seconds < SHORTEST_SECONDS and self.asked.editing is None:
            remarks.append(
                f"ACE-Step makes {SHORTEST_SECONDS:g} s at least; {self.prompt.seconds:g} s of that were kept, with an end of their own"
            )
        return remarks

    def _too_large(self) -> errors.OutOfMemory:
        return errors.OutOfMemory(
            f"{self.asked.preset.name} ran out of memory on {self.loaded.way.device} with one track of {self.asked.seconds:g} s",
            hint="Ask for a shorter --duration, close other programs, or take a smaller model.",
        )


def _stepping(course: Course) -> Any:
    """What the pipeline calls after each pass; raising from it is the only way to stop it before it decodes."""

    def step(pipe: Any, index: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
        course.at("render", index + 1, len(pipe.scheduler.timesteps))
        return {}

    return step


def _named(lora: Lora) -> dict[str, Any]:
    return {"name": lora.path.name, "scale": lora.scale, "sha256": sha256_of(lora.path)}
