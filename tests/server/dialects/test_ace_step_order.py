"""A wish of an ACE-Step client becomes a request that the engine which will run takes; what it cannot take is said."""

from __future__ import annotations

from typing import Any

import pytest

from sottovoce import errors
from sottovoce.engines.ace_step.engine import AceStep
from sottovoce.engines.ace_step_api import AceStepApi
from sottovoce.engines.ace_step_wire import AceStepApiConfig
from sottovoce.engines.composer import Composer
from sottovoce.engines.musicgen.engine import Musicgen
from sottovoce.engines.musicgen.options import LocalMusicgenConfig
from sottovoce.library.uploads import Upload
from sottovoce.server.dialects.ace_step_fields import asked_of
from sottovoce.server.dialects.ace_step_models import Maker, chosen, inventory
from sottovoce.server.dialects.ace_step_order import Files, Order, order_of
from sottovoce.tasks.gate import options_of
from sottovoce.tasks.generate import Generate
from sottovoce.tasks.request import validate


def maker(engine: Any, model: str, *others: str) -> Maker:
    return Maker(engine, model, others)


COMPOSER = maker(Composer(), "composer")
TURBO = maker(AceStep(), "acestep-v15-turbo", "acestep-v15-base")
API = maker(AceStepApi(AceStepApiConfig()), "ace-step-api")
MUSICGEN = maker(Musicgen(LocalMusicgenConfig()), "musicgen-small", "musicgen-melody")
SONG = Upload("ab12", "", "song.wav", "", 1, "audio", 40.0, 48_000, 2, "")
#: What a client of ACE-Step sends that fills in every field it knows with that server's defaults.
DEFAULTS = {
    "inference_steps": 8, "guidance_scale": 7.0, "shift": 3.0, "infer_method": "ode", "thinking": False, "seed": -1,
    "use_random_seed": True, "task_type": "text2music", "vocal_language": "en", "time_signature": "", "key_scale": "", "bpm": None,
}  # fmt: skip


def order(*found: Maker, files: Files | None = None, **fields: Any) -> Order:
    return order_of(asked_of({"prompt": "calm piano", "duration": 20} | fields), files or Files(), found)


def said(made: Order) -> str:
    return "\n".join(made.notes)


@pytest.mark.parametrize("found", [(COMPOSER,), (TURBO, COMPOSER), (API, COMPOSER), (MUSICGEN, COMPOSER)])
@pytest.mark.parametrize("fields", [{}, DEFAULTS, {"steps": 3, "bpm": 80, "key": "Am", "timesignature": "3"}])
def test_every_engine_takes_what_is_made_of_defaults(found: tuple[Maker, ...], fields: dict[str, Any]) -> None:
    request = validate(Generate, order(*found, **fields).fields)
    for maker in found:
        options_of(maker.engine, request)
    assert (request.engine, request.versions) == ("auto", 2)


def test_a_wish_in_our_words() -> None:
    made = order(COMPOSER, bpm="92", keyscale="bb minor", timesignature="6", batch_size=3, seed=7, use_random_seed="no")
    wanted = {
        "prompt": "calm piano", "duration": 20.0, "bpm": 92.0, "key": "Bb minor", "time_signature": "6/8", "versions": 3, "seed": 7,
    }  # fmt: skip
    assert wanted.items() <= made.fields.items()
    assert made.notes == []


def test_what_cannot_be_read_is_left_open_and_said() -> None:
    made = order(
        COMPOSER, keyscale="Auto", timesignature="swing", duration=0, batch_size=20, seed="1,5", use_random_seed=False
    )
    assert {"key", "time_signature"}.isdisjoint(made.fields)
    assert (made.fields["duration"], made.fields["versions"], made.fields["seed"]) == (60.0, 8, 1)
    for word in ("'Auto'", "'swing'", "60 s", "at most 8", "follow one another"):
        assert word in said(made)


def test_what_is_said_of_diffusion_goes_to_ace_step_alone() -> None:
    wish: dict[str, Any] = {"inference_steps": 12, "shift": 2, "thinking": "true", "infer_method": "sde"}
    composed = order(COMPOSER, **wish)
    assert {"steps", "options", "scheduler", "guidance"}.isdisjoint(composed.fields)
    assert "composer knows nothing of inference_steps, shift, infer_method, thinking" in said(composed)
    here = order(TURBO, COMPOSER, **wish)
    assert (here.fields["steps"], here.fields["options"]) == (12, {"shift": 2.0, "use_lm": True})
    assert "no way of sampling called 'sde'" in said(here)
    there = order(API, COMPOSER, **wish)
    assert (there.fields["scheduler"], there.fields["options"]) == ("sde", {"shift": 2.0})
    assert order(TURBO, sampler_mode="heun").fields["scheduler"] == "heun"


def test_values_out_of_range_are_put_into_it_and_said() -> None:
    made = order(TURBO, inference_steps=50, guidance_scale=9, shift=30)
    assert (made.fields["steps"], made.fields["options"]) == (20, {"shift": 5.0})
    assert "guidance" not in made.fields
    for word in ("50 was taken as 20", "30 was taken as 5", "works without guidance"):
        assert word in said(made)
    base = order(TURBO, model="base", guidance_scale=9)
    assert (base.fields["model"], base.fields["guidance"]) == ("acestep-v15-base", 9.0)


def test_lyrics_go_to_the_first_that_sings() -> None:
    assert order(MUSICGEN, TURBO, lyrics="la", language="DE-de").fields["lyrics"] == "la"
    assert order(TURBO, lyrics="la", language="DE-de").fields["language"] == "de"
    silent = order(COMPOSER, lyrics="la")
    assert "lyrics" not in silent.fields
    assert "no engine here sings" in said(silent)


@pytest.mark.parametrize(
    ("name", "engine", "model"),
    [
        ("", "auto", None),
        ("acestep-v15-turbo", "auto", None),
        ("acestep/turbo", "auto", None),
        ("base", "ace-step", "acestep-v15-base"),
        ("acestep/acestep-v15-base", "ace-step", "acestep-v15-base"),
        ("musicgen-small", "musicgen", None),
        ("musicgen-melody", "musicgen", "melody"),
        ("Composer", "composer", None),
        ("local_files", "local-files", None),
        ("gpt-9", "auto", None),
    ],
)
def test_names_of_models(name: str, engine: str, model: str | None) -> None:
    choice = chosen(name, (TURBO, MUSICGEN, COMPOSER))
    assert (choice.engine, choice.model) == (engine, model)
    assert bool(choice.note) is (name == "gpt-9")


def test_a_model_of_another_server_is_its_to_know() -> None:
    assert chosen("acestep-v15-xl", (API, COMPOSER)).model == "acestep-v15-xl"
    assert "acestep-v15-base" in chosen("acestep-v15-base", (COMPOSER,)).note


def test_the_inventory_has_one_default_and_the_tasks_of_each() -> None:
    listed = inventory((TURBO, COMPOSER))
    assert [model["name"] for model in listed] == ["acestep-v15-turbo", "acestep-v15-base", "composer"]
    assert [model["is_default"] for model in listed] == [True, False, False]
    assert listed[0]["supported_task_types"] == ["text2music", "cover", "repaint", "extend"]
    assert listed[2]["supported_task_types"] == ["text2music"]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"task_type": "cover", "audio_cover_strength": 0.4}, {"cover": {"upload": "ab12"}, "strength": 0.4}),
        (
            {"task_type": "repaint", "repainting_start": 5, "repainting_end": -1},
            {"repaint": {"upload": "ab12"}, "repaint_from": 5.0},
        ),
        (
            {"task_type": "repaint", "repainting_start": 5, "repainting_end": 9},
            {"repaint": {"upload": "ab12"}, "repaint_from": 5.0, "repaint_to": 9.0},
        ),
        ({"task_type": "extend", "duration": 60}, {"extend": {"upload": "ab12"}, "by": 20.0}),
        ({"task_type": "extend"}, {"extend": {"upload": "ab12"}, "by": 30.0}),
    ],
)
def test_edits_of_music_that_was_sent(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    made = order(TURBO, files=Files(SONG), **{"prompt": "", **fields})
    assert wanted.items() <= made.fields.items()
    assert "duration" not in made.fields
    validate(Generate, made.fields)


def test_music_to_sound_like() -> None:
    assert order(TURBO, files=Files(reference=SONG)).fields["reference"] == {"upload": "ab12"}
    composed = order(COMPOSER, files=Files(reference=SONG))
    assert "reference" not in composed.fields
    assert "the reference was not used" in said(composed)


@pytest.mark.parametrize("task", ["extract", "lego", "complete", "rubbish"])
def test_other_tasks_are_refused(task: str) -> None:
    with pytest.raises(errors.InvalidParameter, match=task):
        order(TURBO, files=Files(SONG), task_type=task)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc/passwd", "absolute audio file paths are not allowed"),
        ("C:\\song.wav", "absolute audio file paths are not allowed"),
        ("~/song.wav", "absolute audio file paths are not allowed"),
        ("../../song.wav", "path traversal"),
        ("song.wav", "not allowed"),
    ],
)
def test_paths_of_this_machine_are_nobodys_to_name(path: str, reason: str) -> None:
    for field in ("src_audio_path", "reference_audio_path"):
        with pytest.raises(errors.InputUnreadable, match=reason):
            order(TURBO, files=Files(SONG if field[0] == "r" else None), task_type="cover", **{field: path})


@pytest.mark.parametrize("path", ["0123456789abcdef.mp3", "/v1/audio?path=0123456789abcdef.mp3"])
def test_an_earlier_result_can_be_started_from(path: str) -> None:
    assert order(TURBO, task_type="cover", src_audio_path=path).fields["cover"] == {"track": "0123456789abcdef"}


def test_words_are_invented_where_that_is_asked_for() -> None:
    made = order(COMPOSER, prompt="", sample_mode=True, seed=3, use_random_seed=False)
    assert (
        made.fields["prompt"]
        == order(COMPOSER, prompt="", sample_mode=True, seed=3, use_random_seed=0).fields["prompt"]
    )
    assert "invented" in said(made)
    asked = order(COMPOSER, prompt="", description="a song for the sea")
    assert (asked.fields["prompt"], asked.fields["enhance"]) == ("a song for the sea", True)
    assert order(COMPOSER, use_format="yes").fields["enhance"] is True
    assert "enhance" not in order(COMPOSER).fields


def test_fields_that_change_nothing_are_named() -> None:
    assert "use_adg changes nothing here" in said(order(TURBO, use_adg=True))
