"""Arrangement: which player plays in which section, so that something enters or leaves at every edge and nothing stays for ever."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sottovoce.composer.form import Form, Section
from sottovoce.composer.plan import Plan
from sottovoce.composer.rng import chance, pick, stream
from sottovoce.composer.style import Player

_FOUNDATION = frozenset(("bass", "drone", "figure"))
_HARMONY = frozenset(("comp", "figure", "pad"))
_LATE = frozenset(("pad", "answer", "loop", "counter", "swell", "double"))
#: Sections in a row in which everybody may play.
_MOST_FULL = 2


@dataclass(frozen=True)
class Turn:
    """A player's stretch of a section, in beats."""

    section: Section
    start: float
    end: float


Turns = dict[str, tuple[Turn, ...]]


def arrange(plan: Plan, form: Form) -> Turns:
    """The turns of every player, by name."""
    rng = stream(plan.seed, "arrangement")
    line_ups = [
        _line_up(plan, section, last=index == len(form.sections) - 1) for index, section in enumerate(form.sections)
    ]
    _hand_over(plan, form, line_ups, rng)
    _vary(plan, form, line_ups, rng)
    turns: dict[str, list[Turn]] = {player.name: [] for player in plan.cast}
    for index, (section, players) in enumerate(zip(form.sections, line_ups, strict=True)):
        before = _names(line_ups[index - 1]) if index else set()
        for player in players:
            turns[player.name].append(Turn(section, _entry(player, section, before, rng), section.end))
    return {name: tuple(stretches) for name, stretches in turns.items()}


def _names(players: list[Player]) -> set[str]:
    return {player.name for player in players}


def _hand_over(plan: Plan, form: Form, line_ups: list[list[Player]], rng: Random) -> None:
    """In longer pieces the lead leaves the stage for a section in three, to a second voice where there is one.

    A voice that joined because the prompt named it has the climax to itself.
    """
    seconds = [player for player in plan.cast if player.role in ("answer", "loop")]
    own = {player.name for player in plan.style.players}
    guest = any(player.role == "answer" and player.name not in own for player in seconds)
    for place, section in enumerate(form.sections):
        passes = chance(rng, 0.6) and section.name in ("A'", "C") and len(form.sections) > 4
        if seconds and (passes or (guest and section.letter == "B")):
            stays = [player for player in line_ups[place] if player.role != "lead"]
            line_ups[place] = _with_any(plan, stays, frozenset(("answer", "loop")))


def _vary(plan: Plan, form: Form, line_ups: list[list[Player]], rng: Random) -> None:
    """Something enters or leaves at every edge, and not everybody plays for ever."""
    full = 0
    for index in range(1, len(line_ups)):
        section, before = form.sections[index], form.sections[index - 1]
        if _names(line_ups[index]) == _names(line_ups[index - 1]):
            if section.energy <= before.energy:
                line_ups[index] = _changed(plan, section, line_ups[index], rng)
            else:
                line_ups[index - 1] = _fewer(line_ups[index - 1], rng)
        full = full + 1 if len(line_ups[index]) == len(plan.cast) > 3 else 0
        if full > _MOST_FULL:
            line_ups[index] = _fewer(line_ups[index], rng)
            full = 0


def _line_up(plan: Plan, section: Section, *, last: bool) -> list[Player]:
    """The players whose threshold the section's energy reaches; never without harmony, never an end without a foundation."""
    players = [player for player in plan.cast if section.energy >= player.threshold]
    most = plan.mood.most_parts
    if most is not None and len(players) > most:
        players = sorted(players, key=lambda p: (p.role not in ("lead", *_FOUNDATION), p.threshold))[:most]
    players = _with_any(plan, players, _HARMONY)
    if last or section.name == "whole":
        players = _with_any(plan, players, _FOUNDATION)
    if not any(player.role in ("comp", "figure", "lead", "loop") for player in players):
        players = _with_any(plan, players, frozenset(("comp", "figure", "loop")))
    order = {player.name: index for index, player in enumerate(plan.cast)}
    return sorted(players, key=lambda player: order[player.name])


def _with_any(plan: Plan, players: list[Player], roles: frozenset[str]) -> list[Player]:
    if any(player.role in roles for player in players):
        return players
    able = sorted((player for player in plan.cast if player.role in roles), key=lambda player: player.threshold)
    return [*players, *able[:1]]


def _changed(plan: Plan, section: Section, players: list[Player], rng: Random) -> list[Player]:
    """The next one enters, or somebody leaves."""
    names = _names(players)
    waiting = sorted(
        (p for p in plan.cast if p.name not in names and p.threshold <= section.energy + 0.2), key=lambda p: p.threshold
    )
    if waiting and chance(rng, 0.5):
        return [p for p in plan.cast if p.name in names or p.name == waiting[0].name]
    return _fewer(players, rng)


def _fewer(players: list[Player], rng: Random) -> list[Player]:
    """One of those leaves whom the others can do without."""
    several = sum(player.role == "comp" for player in players) > 1
    spare = [p for p in players if p.role in _LATE or (several and p.role == "comp" and p.threshold > 0)]
    if not spare or len(players) <= 2:
        return players
    gone = pick(rng, spare).name
    return [player for player in players if player.name != gone]


def _entry(player: Player, section: Section, before: set[str], rng: Random) -> float:
    """Where in the section a player begins: newcomers to a long one may wait for its middle."""
    waits = chance(rng, 0.4)
    if player.name in before or player.role not in _LATE or len(section.bars) < 6 or not waits:
        return section.start
    return section.bars[len(section.bars) // 2].start
