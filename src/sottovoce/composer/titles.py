"""A name for a track, from its style's words, what the prompt pictures, and the seed."""

from __future__ import annotations

from sottovoce.composer.plan import Plan
from sottovoce.composer.rng import chance, pick, stream

#: Pictures in a prompt -> what a title may say of them.
_PICTURES: dict[str, tuple[str, ...]] = {
    "rain": ("Rain", "Rainfall", "Wet Pavement"),
    "storm": ("Storm", "Thunder"),
    "cafe": ("Corner Café", "Second Cup"),
    "waves": ("Tide", "Shoreline"),
    "wind": ("Wind", "Open Window"),
    "birds": ("First Birds", "Treetops"),
    "fire": ("Embers", "Fireside"),
    "crickets": ("Crickets", "Summer Field"),
}
_HOURS: dict[str, tuple[str, ...]] = {
    "night": ("at Night", "after Midnight", "past Twelve"),
    "morning": ("in the Morning", "at First Light"),
    "dark": ("in the Dark", "after Dusk"),
    "winter": ("in Winter",),
    "summer": ("in Summer",),
    "autumn": ("in Autumn",),
}


def title(plan: Plan, words: str) -> str:
    """Two to five words."""
    rng = stream(plan.seed, "title")
    colours, things = plan.style.title_words
    pictures = [name for kind, _ in plan.textures for name in _PICTURES.get(kind, ())]
    thing = pick(rng, pictures) if pictures and chance(rng, 0.7) else pick(rng, things)
    hours = [hour for word, names in _HOURS.items() if word in words.lower() for hour in names]
    if hours and chance(rng, 0.7):
        return f"{thing} {pick(rng, hours)}"
    return f"{pick(rng, colours)} {thing}"
