"""ACE-Step 1.5 turbo in numbers, on a graphics card: this engine against one plain call of diffusers' pipeline at a time (row 8).

    python bench/generation.py [--seconds 60] [--versions 8] [--rounds 2] [--folder FOLDER]

Also how long it takes until the model is ready, the memory of each tier, how true the progress is at half time, and how soon a cancel
gives its memory back (row 10). The weights are random, of the real size (2B, bfloat16): speed does not depend on their values. Without a
graphics card it says so and ends.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sottovoce import errors
from sottovoce.engines.ace_step.engine import AceStep
from sottovoce.engines.ace_step.memory import Tier
from sottovoce.engines.ace_step.options import AceStepOptions
from sottovoce.engines.ace_step.pipeline import Way, load
from sottovoce.engines.base import Run
from sottovoce.progress import OnProgress, Progress, ignore
from sottovoce.prompt import Prompt

WORDS = "calm warm piano, soft strings, slow"
DEVICE = "cuda"
TIERS: tuple[Tier, ...] = ("resident", "parts", "layers")
#: bfloat16 products of an RTX 3090 with float32 sums, in operations a second.
RTX_3090 = 71e12


def make_weights(folder: Path) -> None:
    """The 2B turbo model with random weights, as diffusers writes it; 6 GB."""
    from diffusers import (
        AceStepConditionEncoder,
        AceStepPipeline,
        AceStepTransformer1DModel,
        AutoencoderOobleck,
        FlowMatchEulerDiscreteScheduler,
    )
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    words = Tokenizer(WordLevel({"<pad>": 0, "<unk>": 1}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    text = Qwen3Config(
        hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8, head_dim=128,
        vocab_size=151_669, max_position_embeddings=32_768,
    )  # fmt: skip
    with torch.device(DEVICE):
        parts = {
            "vae": AutoencoderOobleck(
                encoder_hidden_size=128, downsampling_ratios=[2, 4, 4, 6, 10], channel_multiples=[1, 2, 4, 8, 16],
                decoder_channels=128, decoder_input_channels=64, sampling_rate=48_000,
            ),
            "text_encoder": Qwen3Model(text),
            "transformer": AceStepTransformer1DModel(is_turbo=True, model_version="turbo"),
            "condition_encoder": AceStepConditionEncoder(),
        }  # fmt: skip
    pipe = AceStepPipeline(
        **{name: part.to(torch.bfloat16) for name, part in parts.items()},
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>"),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    )
    pipe.save_pretrained(folder, safe_serialization=True)


class Watch:
    """What was reported, and when."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.seen: list[tuple[float, Progress]] = []

    def __call__(self, progress: Progress) -> None:
        self.seen.append((time.perf_counter() - self.begun, progress))

    def first(self, stage: str) -> float:
        """Seconds until a stage began."""
        return next(at for at, progress in self.seen if progress.stage == stage)


def ours(engine: AceStep, folder: Path, seconds: float, seeds: range, progress: OnProgress = ignore) -> None:
    prompt = Prompt(WORDS, seconds, seeds[0])
    engine.generate_batch(prompt, seeds, AceStepOptions(model=str(folder)), Run(progress=progress, threads=4))


def theirs(pipe: Any, seconds: float, seed: int) -> None:
    """The call as its documentation has it, with the sound brought to the processor."""
    pipe(
        prompt=WORDS, lyrics="[Instrumental]", audio_duration=seconds, guidance_scale=1.0, output_type="np",
        generator=torch.Generator("cpu").manual_seed(seed),
    )  # fmt: skip


def timed(call: Callable[[], None]) -> float:
    torch.cuda.synchronize()
    begun = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - begun


def matrix_rate() -> float:
    """bfloat16 operations a second of large products on this card."""
    a, b = (torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))

    def products() -> None:
        for _ in range(20):
            torch.mm(a, b)

    products()
    return 20 * 2 * 8192**3 / timed(products)


def kept(folder: Path, tier: Tier = "resident") -> Any:
    """diffusers' pipeline, kept like this."""
    return load(folder, Way(DEVICE, "bfloat16", tier), lambda _part, _share: None)


def speed(folder: Path, asked: argparse.Namespace) -> None:
    engine, watch = AceStep(), Watch()
    ours(engine, folder, 10.0, range(1), watch)
    print(f"  ready after {watch.first('prepare'):.1f} s, files hashed and loaded")
    compare(engine, kept(folder), folder, asked)
    torch.cuda.empty_cache()
    long = timed(lambda: ours(engine, folder, 120.0, range(1)))
    scale = matrix_rate() / RTX_3090
    print(
        f"  120 s in {long:.2f} s here; by the rate of matrix products an RTX 3090 would take {long * scale:.1f} s (an estimate)"
    )
    truth(engine, folder, asked)
    cancels(engine, folder)
    engine.close()


def compare(engine: AceStep, pipe: Any, folder: Path, asked: argparse.Namespace) -> None:
    """Both in turn, the best round of each."""
    batch = range(asked.versions)

    def one_by_one() -> None:
        for seed in batch:
            theirs(pipe, asked.seconds, seed)

    def at_once() -> None:
        ours(engine, folder, asked.seconds, batch)

    theirs(pipe, asked.seconds, 0)
    at_once()
    rounds = [(timed(at_once), timed(one_by_one)) for _ in range(asked.rounds)]
    mine, plain = (min(one[side] for one in rounds) for side in (0, 1))
    for name, took in (("ours, one batch", mine), ("diffusers, one at a time", plain)):
        rate = 3600 * len(batch) / took
        print(f"  {name:26} {took:6.2f} s for {len(batch)} of {asked.seconds:g} s: {rate:.0f} tracks an hour")
    print(f"  {plain / mine:.2f}x")


def truth(engine: AceStep, folder: Path, asked: argparse.Namespace) -> None:
    """What progress says when half of the time has passed."""
    watch = Watch()
    ours(engine, folder, asked.seconds, range(asked.versions), watch)
    whole = time.perf_counter() - watch.begun
    said = [progress.percent for at, progress in watch.seen if at <= whole / 2][-1]
    print(f"  at half time progress says {said:.0f} %")


def cancels(engine: AceStep, folder: Path) -> None:
    """Seconds from a cancel to the memory being free again, the longest of several."""
    torch.cuda.synchronize()
    before, waits = torch.cuda.memory_allocated(), []
    for step in range(1, 8):
        at = 0.0

        def stop(progress: Progress, step: int = step) -> None:
            nonlocal at
            if progress.stage == "render" and progress.step == step:
                at = time.perf_counter()
                raise errors.Cancelled("stop")

        try:
            ours(engine, folder, 120.0, range(2), stop)
        except errors.Cancelled:
            torch.cuda.synchronize()
            waits.append(time.perf_counter() - at)
        over = torch.cuda.memory_allocated() - before
        assert over < 64 << 20, f"{over / 1e6:.0f} MB are still held"
    print(f"  cancel to memory freed: at most {max(waits):.3f} s of {len(waits)}")


def tiers(folder: Path, seconds: float) -> None:
    for tier in TIERS:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        pipe = kept(folder, tier)
        theirs(pipe, seconds, 0)
        took = timed(lambda pipe=pipe: theirs(pipe, seconds, 1))  # type: ignore[misc]
        most = torch.cuda.max_memory_allocated() / 1e9
        print(f"  {tier:9} {most:5.1f} GB at most, {took:6.2f} s for {seconds:g} s")
        del pipe


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--versions", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the weights are kept for the next time")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no graphics card here; row 8 is measured on one.")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.folder or Path(temporary)) / "acestep-2b"
        if not (folder / "model_index.json").exists():
            make_weights(folder)
        speed(folder, asked)
        tiers(folder, asked.seconds)


if __name__ == "__main__":
    main()
