"""Models: the weights of neural engines, listed, fetched as jobs, removed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from sottovoce.server.answers import Json
from sottovoce.server.api.jobs import shown as shown_job
from sottovoce.server.asked import Admin, Fields, StudioHere
from sottovoce.tasks.pull import Pull
from sottovoce.weights.store import Listed

router = APIRouter(prefix="/api/models", tags=["models"])


class Consent(Fields):
    """What whoever fetches a model says to its licence."""

    accept_licence: bool = False


@router.get("")
def list_models(studio: StudioHere) -> Json:
    """Every model: what it is good for, its size and licence, and what of it is here."""
    speeds = studio.speeds()
    listed = [
        shown(one) | {"speeds": [speed.model_dump() for speed in speeds if speed.model == one.model.name]}
        for one in studio.weights.models()
    ]
    return Json({"models": listed, "bytes_on_disk": sum(one["bytes_here"] for one in listed)})


@router.post("/{name}/pull")
def pull(name: str, studio: StudioHere, caller: Admin, body: Annotated[Consent, Body()] = Consent()) -> Json:  # noqa: B008 - frozen
    """Fetch a model and its parts, as a job; one that was broken off goes on where it stopped."""
    studio.weights.model(name)
    request = studio.request(Pull, {"names": (name,), "accept_licence": body.accept_licence}, local=False)
    job = studio.submit(request, owner=caller.owner)
    return Json({"job": shown_job(job)}, 202, {"Location": f"/api/jobs/{job.id}"})


@router.delete("/{name}")
def remove(name: str, studio: StudioHere, _caller: Admin) -> Json:
    """Remove a model's files; what they took is given back."""
    return Json({"freed": studio.weights.remove(name)})


def shown(one: Listed) -> dict[str, Any]:
    """A model as callers see it."""
    about = one.model.model_dump(mode="json", exclude={"files"})
    return {**about, "bytes": one.model.bytes, "here": one.here, "bytes_here": one.bytes_here, "page": one.model.page}
