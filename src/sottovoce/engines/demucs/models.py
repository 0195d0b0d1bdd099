"""The models demucs offers: which networks each is made of, and how much of each stem every network gives."""

from __future__ import annotations

from dataclasses import dataclass

from sottovoce.audio import Stem

_FOUR = tuple(Stem(name) for name in ("drums", "bass", "other", "vocals"))
_SIX = (*_FOUR, Stem("guitar"), Stem("piano"))
_EACH_ITS_OWN = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
_MDX = ((1, 1, 0, 0), (0, 1, 0, 0), (1, 0, 1, 1), (1, 0, 1, 1))


@dataclass(frozen=True)
class Model:
    """Networks by signature, whose stems are averaged by `weights` (per network, per stem; none: all alike).

    `segment` is the length in seconds of the chunks where it is not the networks' own.
    """

    name: str
    signatures: tuple[str, ...]
    stems: tuple[Stem, ...] = _FOUR
    weights: tuple[tuple[float, ...], ...] = ()
    segment: float | None = None

    def members(self, wanted: tuple[Stem, ...]) -> tuple[int, ...]:
        """The networks that have a part in the stems wanted."""
        places = [self.stems.index(stem) for stem in wanted]
        return tuple(
            index
            for index in range(len(self.signatures))
            if not self.weights or any(self.weights[index][place] for place in places)
        )


MODELS = {
    model.name: model
    for model in (
        Model("htdemucs", ("955717e8",)),
        Model("htdemucs_ft", ("f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"), weights=_EACH_ITS_OWN),
        Model("htdemucs_6s", ("5c90dfd2",), stems=_SIX),
        Model("hdemucs_mmi", ("75fc33f5",), segment=44),
        Model("mdx", ("0d19c1c6", "7ecf8ec1", "c511e2ab", "7d865c68"), weights=_MDX, segment=44),
        Model("mdx_extra", ("e51eebcc", "a1d90b5c", "5d2d6c55", "cfa93e08"), segment=44),
    )
}
