"""Who plays: the style's players, each with one instrument, changed by what the prompt names, bans and describes."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from sottovoce.composer.guests import GUESTS, ROLE_GUESTS, SOLE_ROLES
from sottovoce.composer.rng import weighted
from sottovoce.composer.style import Player, Style
from sottovoce.composer.vocabulary import Wishes

#: A player whose instrument was named plays from this energy on at the latest.
_NAMED_THRESHOLD = 0.4
_FAMILIES = {"grand_piano": "felt_piano", "felt_piano": "grand_piano"}


def cast(style: Style, wishes: Wishes, *, lean: tuple[str, ...], without: tuple[str, ...], rng: Random) -> tuple[Player, ...]:  # fmt: skip
    """The players of a track, each with exactly one instrument; at least one of them carries the harmony or the melody."""
    banned = frozenset((*wishes.banned, *(name for name in without if name not in wishes.roles)))
    players = _chosen(style, banned, rng)
    named = (*wishes.instruments, *(name for name in lean if name not in wishes.instruments))
    for instrument in named:
        if instrument not in banned:
            players = _with(players, instrument, style)
    for role in wishes.roles:
        if role in ROLE_GUESTS and role not in banned and not any(player.role == role for player in players):
            players.append(GUESTS[ROLE_GUESTS[role]])
    players = [player for player in players if player.role not in banned]
    players = _partnered(_described(players, wishes))
    return tuple(players) or (_last_resort(style),)


def _chosen(style: Style, banned: frozenset[str], rng: Random) -> list[Player]:
    """Every player of the style who turns up, with one instrument; no two play the same where it can be helped."""
    players: list[Player] = []
    for player in style.players:
        there = rng.random() < player.presence
        taken = {other.instruments[0][0] for other in players if other.role != player.role}
        choices = [(name, weight) for name, weight in player.instruments if name not in banned]
        fresh = [(name, weight) for name, weight in choices if name not in taken] or choices
        if choices:
            instrument = weighted(rng, fresh)
            if there:
                players.append(replace(player, instruments=((instrument, 1.0),)))
    return players


def _with(players: list[Player], instrument: str, style: Style) -> list[Player]:
    """The players with one who plays the instrument: one of them who can, one who gives way, or a guest."""
    playing = [p for p in players if p.instruments[0][0] in (instrument, _FAMILIES.get(instrument))]
    if playing:
        first = min(playing, key=lambda player: player.threshold)
        return [_earlier(player) if player is first else player for player in players]
    able = [player for player in style.players if instrument in (name for name, _ in player.instruments)]
    index = {player.name: place for place, player in enumerate(players)}
    for player in able:
        seat = _earlier(replace(player, instruments=((instrument, 1.0),)))
        if player.name in index:
            return [seat if place == index[player.name] else other for place, other in enumerate(players)]
        return [*players, seat]
    guest = GUESTS[instrument]
    if guest.role in SOLE_ROLES and any(player.role == guest.role for player in players):
        return [
            replace(player, instruments=guest.instruments) if player.role == guest.role else player
            for player in players
        ]
    name = guest.name if guest.name not in index else f"{guest.name} 2"
    return [*players, replace(guest, name=name)]


def _partnered(players: list[Player]) -> list[Player]:
    """Players who share an instrument play the same one."""
    instruments = {player.name: player.instruments for player in players}
    return [replace(p, instruments=instruments.get(p.partner, p.instruments)) for p in players]


def _earlier(player: Player) -> Player:
    return replace(player, threshold=min(player.threshold, _NAMED_THRESHOLD))


def _described(players: list[Player], wishes: Wishes) -> list[Player]:
    """Fewer parts for `minimal`, fuller pads for `lush`."""
    if "minimal" in wishes.adjectives and len(players) > 3:
        spare = sorted(players, key=lambda player: -player.threshold)[: min(2, len(players) - 3)]
        players = [player for player in players if player not in spare]
    if "lush" in wishes.adjectives:
        players = [
            replace(player, threshold=max(0.1, player.threshold - 0.2)) if player.role == "pad" else player
            for player in players
        ]
    return players


def _last_resort(style: Style) -> Player:
    """When everything is banned, somebody has to play: the style's first harmony."""
    player = next(player for player in style.players if player.role in ("comp", "figure", "pad"))
    return replace(player, instruments=player.instruments[:1], threshold=0.0)
