"""MusicGen small in numbers: this engine against transformers' `generate` as it comes, on the same weights in one run (row 9).

    python bench/musicgen.py [--seconds 5] [--threads 2] [--ways fast,exact]

The weights are random and of the real size: speed does not depend on their values. Both sides get the same words, seed and settings.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    StoppingCriteria,
    T5Config,
)

from sottovoce.engines.musicgen.model import assembled
from sottovoce.engines.musicgen.piece import Wish, codes
from sottovoce.engines.musicgen.sampling import Taste
from sottovoce.engines.musicgen.windows import FRAMES_A_SECOND

TOKENS = torch.tensor([[4447, 3435, 28, 2998, 8, 3, 9, 9388, 1]])
PAD = 2048


Times = dict[str, tuple[float, float]]


class Spoken(dict[str, torch.Tensor]):
    """The words as a tokenizer gives them."""

    def to(self, _device: str) -> Spoken:
        """They are there already."""
        return self


class Clock:
    """When each step was done: on the clock, and in seconds of processor."""

    def __init__(self) -> None:
        self.started = self.now()
        self.steps: list[tuple[float, float]] = []

    @staticmethod
    def now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def step(self) -> None:
        self.steps.append(self.now())

    def times(self) -> Times:
        """Of the whole, of a step (the first two left out), and of what came after the last one."""
        end, first, last = self.now(), self.steps[1], self.steps[-1]
        count = len(self.steps) - 2
        return {
            "all": (end[0] - self.started[0], end[1] - self.started[1]),
            "step": ((last[0] - first[0]) / count, (last[1] - first[1]) / count),
            "decode": (end[0] - last[0], end[1] - last[1]),
        }


Side = Callable[[Any, float, Clock], torch.Tensor]


def small() -> Any:
    """MusicGen small of the real size: 590 million parameters, T5 base, a decoder of 24 layers, EnCodec at 32 kHz."""
    config = MusicgenConfig(
        text_encoder=T5Config(vocab_size=32_128, d_model=768, d_ff=3072, num_layers=12, num_heads=12, d_kv=64),
        audio_encoder=EncodecConfig(
            sampling_rate=32_000,
            upsampling_ratios=[8, 5, 4, 4],
            num_filters=64,
            compress=2,
            hidden_size=128,
            codebook_size=2048,
            codebook_dim=128,
            target_bandwidths=[2.2],
            use_causal_conv=False,
            use_conv_shortcut=False,
            audio_channels=1,
            chunk_length_s=None,
        ),
        decoder=MusicgenDecoderConfig(),
    )
    torch.manual_seed(0)
    made: Any = MusicgenForConditionalGeneration(config).eval()
    settings = made.generation_config
    settings.pad_token_id = settings.bos_token_id = settings.decoder_start_token_id = PAD
    return made


def theirs(model: Any, seconds: float, clock: Clock) -> torch.Tensor:
    """As transformers' page says it is used."""

    class Watch(StoppingCriteria):  # type: ignore[misc] # its class is not known to mypy
        def __call__(self, ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            clock.step()
            return torch.zeros(len(ids), dtype=torch.bool)

    torch.manual_seed(0)
    made: torch.Tensor = model.generate(
        input_ids=TOKENS,
        attention_mask=torch.ones_like(TOKENS),
        do_sample=True,
        top_k=250,
        guidance_scale=3.0,
        max_new_tokens=round(seconds * FRAMES_A_SECOND) + 3,
        stopping_criteria=[Watch()],
    )
    return made[0]


def ours(model: Any, seconds: float, clock: Clock) -> torch.Tensor:
    with torch.inference_mode():
        made = codes(model, Wish("", seconds, 0, Taste(3.0, 250, 1.0)), lambda _step, _total: clock.step())
        return torch.from_numpy(model.codec.decode(made, 1, lambda _share: None))


def spoken(_texts: list[str], **_: str) -> Spoken:
    return Spoken(input_ids=TOKENS, attention_mask=torch.ones_like(TOKENS))


def say(name: str, times: Times, base: Times, seconds: float) -> None:
    clock, processor = times["all"]
    print(
        f"  {name:22} RTF {clock / seconds:5.2f} ({processor / seconds:5.2f} of processor), {base['all'][0] / clock:.2f}x by the clock, "
        f"{base['all'][1] / processor:.2f}x by the processor; a step {1e3 * times['step'][0]:.0f} ms ({1e3 * times['step'][1]:.0f}), "
        f"{base['step'][1] / times['step'][1]:.2f}x; after the last {times['decode'][0]:.2f} s ({times['decode'][1]:.2f})",
        flush=True,
    )


def timed(side: Side, model: Any, seconds: float) -> tuple[torch.Tensor, Times]:
    """What a side makes, and how long it takes once it has made a moment of sound before."""
    side(model, 0.1, Clock())
    clock = Clock()
    return side(model, seconds, clock), clock.times()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ways", default="exact,fast")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print(f"{asked.seconds:g} s of music, {asked.threads} threads, torch {torch.__version__}")
    module = small()
    sound, base = timed(theirs, module, asked.seconds)
    say("transformers, float32", base, base, asked.seconds)
    for way in asked.ways.split(","):
        model = assembled(
            module if way == asked.ways.split(",")[-1] else small(), spoken, "cpu", way, lambda _share: None
        )
        made, times = timed(ours, model, asked.seconds)
        say(f"ours, {way}", times, base, asked.seconds)
        if way == "exact":
            print(f"    furthest sample from theirs: {(made - sound).abs().max():.2g} of {sound.abs().max():.2g}")
        del model


if __name__ == "__main__":
    main()
