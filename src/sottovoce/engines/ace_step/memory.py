"""What a pipeline takes of a device's memory, and which way of keeping it there fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sottovoce import errors
from sottovoce.engines.ace_step.tensors import entries_of

#: Everything on the device, one part at a time, or one layer at a time.
Tier = Literal["resident", "parts", "layers"]

_BYTES = {"bfloat16": 2, "float32": 4}
#: A tile of the decoder: latent frames, samples each becomes, channels at full rate, and copies that live at once.
_TILE, _SAMPLES, _CHANNELS, _COPIES = 512, 1920, 128, 5
#: What a pass of the network takes per latent frame at 16-bit precision, and what libraries take on a card.
_PER_FRAME, _FIXED = 200_000, 400 << 20
_LAYER = 300 << 20


@dataclass(frozen=True)
class Needs:
    """Bytes that a model's parts take once they are in memory, by part."""

    parts: dict[str, int]

    @property
    def whole(self) -> int:
        """All parts together."""
        return sum(self.parts.values())

    def least(self, tier: Tier) -> int:
        """What of the parts is on the device at once."""
        return {"resident": self.whole, "parts": max(self.parts.values()), "layers": min(_LAYER, self.whole)}[tier]


def needs_of(folder: Path, precision: str) -> Needs:
    """What a model in diffusers' layout takes at a precision, read from the headers of its files."""
    each = _BYTES[precision]
    sizes = {part.name: sum(entry.numbers for entry in entries_of(part).values()) * each for part in folder.iterdir()}
    parts = {name: size for name, size in sizes.items() if size}
    if not parts:
        raise errors.ModelLoadFailed(f"{folder} holds no weights")
    return Needs(parts)


def working(frames: int, batch: int, precision: str) -> int:
    """Bytes beside the weights, for so many latent frames of so many tracks at once."""
    each = _BYTES[precision]
    tile = min(frames, _TILE) * _SAMPLES * _CHANNELS * each * _COPIES
    return _FIXED + batch * max(tile, frames * _PER_FRAME * each // 2)


def tier_for(needs: Needs, free: int, rest: int, device: str) -> Tier:
    """The fastest tier that fits into `free` bytes beside `rest` bytes of work; ModelLoadFailed says what would be needed.

    Only graphics cards of CUDA have tiers: elsewhere the parts would lie in the same memory anyhow.
    """
    tiers: tuple[Tier, ...] = ("resident", "parts", "layers") if device.startswith("cuda") else ("resident",)
    for tier in tiers:
        if needs.least(tier) + rest <= free:
            return tier
    least = needs.least(tiers[-1]) + rest
    raise errors.ModelLoadFailed(
        f"the model needs {_gigabytes(least)} of memory on {device} for this, and {_gigabytes(free)} are free there",
        hint="Close other programs, ask for less at once (--versions, --duration), or choose a smaller model.",
        details={"needed": least, "free": free, "device": device},
    )


def fitting_batch(free: int, frames: int, wanted: int, precision: str) -> int:
    """How many tracks at once, at most so many, fit into what is free beside the weights; at least 1."""
    return next((batch for batch in range(wanted, 1, -1) if working(frames, batch, precision) <= free), 1)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
