"""Mood: what pictures and sound suggest, in the words that generators understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

MoodName = Literal[
    "happy", "sad", "calm", "energetic", "romantic", "dramatic", "playful", "nostalgic", "mysterious", "inspiring",
    "peaceful", "melancholic", "uplifting", "tender", "exciting",
]  # fmt: skip
Genre = Literal[
    "acoustic", "electronic", "cinematic", "classical", "jazz", "pop", "rock", "ambient", "folk", "indie", "orchestral",
    "piano", "guitar", "upbeat", "relaxing",
]  # fmt: skip
Energy = Literal["low", "medium", "high"]
Tempo = Literal["slow", "medium", "fast"]
Palette = Literal["warm", "cool", "neutral", "vibrant", "muted"]

MOODS: tuple[MoodName, ...] = get_args(MoodName)
GENRES: tuple[Genre, ...] = get_args(Genre)


class Mood(BaseModel):
    """A structured mood; `confidence` is 0-1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary_mood: MoodName = "calm"
    secondary_mood: MoodName | None = None
    energy_level: Energy = "medium"
    tempo_suggestion: Tempo = "medium"
    genre_suggestions: tuple[Genre, ...] = Field(default=("ambient",), min_length=1, max_length=5)
    color_palette: Palette = "neutral"
    description: str = Field(default="", max_length=500)
    confidence: float = Field(default=0.7, ge=0, le=1)

    def prompt(self) -> str:
        """The mood as words for a generator, such as `calm nostalgic acoustic piano, slow, low energy`."""
        names = [self.primary_mood, self.secondary_mood, *self.genre_suggestions[:2]]
        return f"{' '.join(name for name in names if name)}, {self.tempo_suggestion}, {self.energy_level} energy"


def lenient(raw: Mapping[str, Any]) -> Mood:
    """A mood from a foreign answer: unknown names give way to calm, ambient, medium and neutral; numbers are clamped."""
    genres = [genre for genre in _words(raw.get("genre_suggestions")) if genre in GENRES][:5]
    return Mood.model_validate(
        {
            "primary_mood": _one_of(raw.get("primary_mood"), MOODS, "calm"),
            "secondary_mood": _one_of(raw.get("secondary_mood"), MOODS, None),
            "energy_level": _one_of(raw.get("energy_level"), get_args(Energy), "medium"),
            "tempo_suggestion": _one_of(raw.get("tempo_suggestion"), get_args(Tempo), "medium"),
            "genre_suggestions": genres or ["ambient"],
            "color_palette": _one_of(raw.get("color_palette"), get_args(Palette), "neutral"),
            "description": str(raw.get("description") or "")[:500],
            "confidence": _clamped(raw.get("confidence", 0.7)),
        }
    )


def _words(value: object) -> list[str]:
    return [str(word).strip().lower() for word in value] if isinstance(value, list | tuple) else []


def _one_of(value: object, names: tuple[str, ...], otherwise: str | None) -> str | None:
    word = str(value).strip().lower()
    return word if word in names else otherwise


def _clamped(value: object) -> float:
    return min(1.0, max(0.0, float(value))) if isinstance(value, int | float) and value == value else 0.7
