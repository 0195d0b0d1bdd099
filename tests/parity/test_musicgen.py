"""Our loop against transformers' `generate` on the same small random models: the same tokens at the same seed, and the same sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra musicgen is not installed")

import torch
from tests.engines import tiny_musicgen as tiny

from sottovoce.engines.musicgen import windows
from sottovoce.engines.musicgen.melody import chroma
from sottovoce.engines.musicgen.model import Model, load
from sottovoce.engines.musicgen.piece import Wish, codes
from sottovoce.engines.musicgen.sampling import Taste

CLOSE = 1e-5
CAPTION = "calm piano rain"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Theirs:
    """A model of transformers', and the codes that its codec was given last."""

    def __init__(self, kind: str) -> None:
        self.model = tiny.model(kind)
        self.sides = self.model.config.decoder.audio_channels
        self._given: list[torch.Tensor] = []
        decode = self.model.audio_encoder.decode

        def heard(audio_codes: torch.Tensor, **rest: Any) -> Any:
            self._given.append(audio_codes[0, 0])
            return decode(audio_codes, **rest)

        self.model.audio_encoder.decode = heard

    def make(self, frames: int, **given: Any) -> tuple[torch.Tensor, np.ndarray]:
        """Codes [codebooks, frames] and sound [channels, samples]; `given` goes to `generate`."""
        self._given.clear()
        words = tiny.tokenizer()([CAPTION], return_tensors="pt")
        sound = self.model.generate(
            input_ids=words["input_ids"],
            attention_mask=words["attention_mask"],
            max_new_tokens=frames + 3,
            **{"do_sample": True, "top_k": 20, "guidance_scale": 3.0, "temperature": 1.0, **given},
        )
        interleaved = torch.stack(self._given, dim=1).flatten(0, 1)
        return interleaved, sound[0].numpy()


def loaded(folder: Path, theirs: Theirs) -> Model:
    return load(tiny.save(theirs.model, folder), "cpu", "exact", lambda share: None)


def ours(model: Model, seconds: float, *, guidance: float = 3.0, temperature: float = 1.0, **wish: Any) -> torch.Tensor:
    with torch.inference_mode():
        return codes(
            model, Wish(CAPTION, seconds, 7, Taste(guidance, 20, temperature), **wish), lambda step, total: None
        )


@pytest.mark.long
@pytest.mark.parametrize("kind", ["mono", "stereo", "melody"])
def test_the_tokens_and_the_sound_are_those_of_generate(tmp_path: Path, kind: str) -> None:
    theirs = Theirs(kind)
    model = loaded(tmp_path, theirs)
    torch.manual_seed(7)
    wanted, sound = theirs.make(60)
    made = ours(model, 1.2)
    assert torch.equal(made, wanted)
    assert made.unique().numel() > 20
    heard = model.codec.decode(made, theirs.sides, lambda share: None)
    assert heard.shape == sound.shape == (theirs.sides, 60 * 640)
    assert np.abs(heard - sound).max() <= CLOSE * np.abs(sound).max()


@pytest.mark.long
@pytest.mark.parametrize(("guidance", "temperature"), [(1.0, 1.0), (6.5, 1.0), (3.0, 0.7)])
def test_any_guidance_and_temperature(tmp_path: Path, guidance: float, temperature: float) -> None:
    theirs = Theirs("mono")
    model = loaded(tmp_path, theirs)
    torch.manual_seed(7)
    wanted, _ = theirs.make(25, guidance_scale=guidance, temperature=temperature)
    assert torch.equal(ours(model, 0.5, guidance=guidance, temperature=temperature), wanted)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["mono", "stereo"])
def test_each_window_is_what_generate_makes_after_the_end_of_the_one_before(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW", 30)
    monkeypatch.setattr(windows, "CONTEXT", 12)
    theirs = Theirs(kind)
    model = loaded(tmp_path, theirs)
    torch.manual_seed(7)
    wanted, _ = theirs.make(30)
    for new in (18, 7):
        window, _ = theirs.make(new, decoder_input_ids=wanted[:, -12:])
        assert torch.equal(window[:, :12], wanted[:, -12:])
        wanted = torch.cat([wanted, window[:, 12:]], dim=1)
    assert torch.equal(ours(model, 1.1), wanted)


@pytest.mark.long
def test_a_melody_is_followed_as_generate_follows_its_features(tmp_path: Path) -> None:
    theirs = Theirs("melody")
    model = loaded(tmp_path, theirs)
    sound = np.sin(2 * np.pi * 440 * np.arange(64_000) / 32_000).astype(np.float32)
    features = torch.from_numpy(chroma(sound, 32_000))[None]
    torch.manual_seed(7)
    wanted, _ = theirs.make(40, input_features=features)
    made = ours(model, 0.8, melody=sound)
    assert torch.equal(made, wanted)
    assert not torch.equal(made, ours(model, 0.8))


@pytest.mark.long
def test_pieces_of_the_codec_join_to_what_it_decodes_at_once(tmp_path: Path) -> None:
    theirs = Theirs("mono")
    model = loaded(tmp_path, theirs)
    made = torch.randint(0, tiny.VOCABULARY, (4, 620), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        at_once = theirs.model.audio_encoder.decode(made[None, None], audio_scales=[None]).audio_values[0].numpy()
        joined = model.codec.decode(made, 1, lambda share: None)
    assert np.abs(joined - at_once).max() <= CLOSE * np.abs(at_once).max()


def test_the_melody_is_that_of_the_extractors_own_steps() -> None:
    from transformers.audio_utils import chroma_filter_bank

    draw = np.random.default_rng(0)
    sound = (np.sin(np.cumsum(draw.uniform(0.02, 0.3, 20)).repeat(4_000) * np.arange(80_000))).astype(np.float32)
    window = torch.hann_window(16_384)
    spectrum = torch.stft(torch.from_numpy(sound), 16_384, 4_096, window=window, center=True, return_complex=True)
    power = spectrum.abs().square() / window.square().sum()
    bank = chroma_filter_bank(sampling_rate=32_000, num_frequency_bins=16_384, tuning=0, num_chroma=12)
    raw = torch.from_numpy(bank).float() @ power
    strongest = torch.nn.functional.normalize(raw, p=float("inf"), dim=-2, eps=1e-6).argmax(0)
    wanted = torch.nn.functional.one_hot(strongest, 12).numpy()
    made = chroma(sound, 32_000)
    assert made.shape == wanted.shape == (1 + 80_000 // 4_096, 12)
    np.testing.assert_array_equal(made, wanted)
