"""What every request shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from sottovoce import errors
from sottovoce.tasks import TASKS
from sottovoce.tasks.generate import Generate
from sottovoce.tasks.request import LocalFile, Request, validate
from sottovoce.tasks.separate import Separate

PATH = "/etc/passwd"


def text_fields(kind: type[BaseModel]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if name != "kind" and field.annotation is not bool]


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_a_path_in_any_field_of_a_foreign_request_is_refused(task: Any) -> None:
    for name in text_fields(task.request):
        for value in ({"path": PATH}, [{"path": PATH}]):
            fields = {"prompt": "x", "source": {"upload": "abc"}, "names": ["x"]} | {name: value}
            fields = {key: item for key, item in fields.items() if key in task.request.model_fields}
            try:
                request = validate(task.request, fields)
            except errors.RequestError:
                continue
            assert name == "options", f"{task.request.__name__}.{name} took a path"
            assert isinstance(request, Request)


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_requests_are_frozen_and_refuse_what_they_do_not_know(task: Any) -> None:
    assert task.request.model_config["frozen"]
    needed = {"prompt": "x", "source": {"upload": "a"}, "names": ["x"]}
    fields = {name: needed[name] for name in needed if name in task.request.model_fields}
    with pytest.raises(errors.InvalidParameter, match="surprise"):
        validate(task.request, fields | {"surprise": 1})


def test_a_path_is_taken_on_this_machine_only() -> None:
    assert LocalFile.model_validate({"path": PATH}, context={"local": True}).path.as_posix() == PATH
    with pytest.raises(ValueError, match="upload"):
        LocalFile.model_validate({"path": PATH})


def test_the_message_names_the_range_and_the_details_every_field() -> None:
    with pytest.raises(errors.InvalidDuration, match="5 to 600 seconds, not 2") as caught:
        validate(TASKS["generate"].request, {"prompt": "x", "duration": 2, "versions": 0})
    assert set(caught.value.details["fields"]) == {"duration", "versions"}


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(errors.RequestError, match="Unicode"):
        validate(Generate, {"prompt": "rain \udc80"})
    odd = validate(Separate, {"source": {"path": Path("rain \udc80.wav")}}, local=True)
    assert isinstance(odd.source, LocalFile)


def test_a_refused_path_says_so_whatever_else_a_source_may_be() -> None:
    with pytest.raises(errors.RequestError, match=r"source\.path: .*upload the file") as refused:
        validate(Separate, {"source": {"path": PATH}})
    assert not any("TrackRef" in field for field in refused.value.details["fields"])


@pytest.mark.parametrize("kind", [kind for kind in TASKS if "options" in TASKS[kind].request.model_fields])
@pytest.mark.parametrize(
    "field",
    [{"options": {"a": PATH}}, {"options": {"a": [{"b": PATH}]}}, {"options": {PATH: 1}}, {"engine": PATH}],
    ids=str,
)
def test_a_file_named_in_passing_is_refused_and_taken_here(kind: str, field: dict[str, Any]) -> None:
    request = TASKS[kind].request
    needed = {"prompt": "x", "source": {"upload": "abc"}} | field
    fields = {key: item for key, item in needed.items() if key in request.model_fields}
    with pytest.raises(errors.RequestError, match="on this machine itself"):
        validate(request, fields)
    assert validate(request, fields, local=True)
