"""The studio in one call each, for Python: what `sottovoce.generate` and its like are.

Each opens a Studio with the settings in force (or takes `studio`), does one request and gives back its result. Wishes are the fields of the
request class; SottovoceErrors say what is wrong and what cures it. `progress` is called with `Progress` values; raising from it stops the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from sottovoce.audio import ArrayReader, ArrayWriter, Audio, Samples, Stem
from sottovoce.errors import InvalidParameter
from sottovoce.library.track import Track
from sottovoce.machine import cores
from sottovoce.moods import Mood
from sottovoce.progress import OnProgress, ignore
from sottovoce.studio import Done, Studio
from sottovoce.tasks.generate import Generate
from sottovoce.tasks.mood import ReadMood
from sottovoce.tasks.outcome import TaskRun
from sottovoce.tasks.request import validate
from sottovoce.tasks.score import Score
from sottovoce.tasks.separate import Separate, split_into

#: A file on this machine, or a track of the library.
Place = str | os.PathLike[str] | Track


def generate(prompt: str, *, progress: OnProgress = ignore, studio: Studio | None = None, **wishes: Any) -> Track:
    """Music from words, filed in the library: the track (`.audio` is its file). Wishes: duration, seed, bpm, key, mood, ... (`Generate`)."""
    with _studio(studio) as place:
        request = place.request(Generate, {"prompt": prompt, "versions": 1, **wishes})
        if request.versions > 1:
            raise InvalidParameter(
                "generate gives back one track; call it once for each seed, or run a Generate request with versions in a Studio"
            )
        return place.run(request, progress).tracks[0]


def separate(
    source: Place,
    *,
    only: str | Sequence[str] = (),
    output: str | os.PathLike[str] | None = None,
    progress: OnProgress = ignore,
    studio: Studio | None = None,
    **wishes: Any,
) -> dict[Stem, Path]:
    """A song's stems as files in the folder `output` (default `<song>_stems`); those of a track stay with it in the library."""
    into = Path(output) if output is not None else _beside(source)
    with _studio(studio) as place:
        request = place.request(Separate, {"source": _named(source), "only": _listed(only), **wishes})
        return dict(place.run(request, progress, into=into).stems)


def separate_array(
    samples: Samples,
    *,
    rate: int,
    only: str | Sequence[str] = (),
    progress: OnProgress = ignore,
    studio: Studio | None = None,
    **wishes: Any,
) -> tuple[Audio, dict[Stem, Audio]]:
    """Samples (float [channels, frames], full scale ±1) split in memory: the mix and its stems; no file is written."""
    mix = _sound(samples, rate)
    fields = {"source": {"upload": "in-memory"}, "only": _listed(only), **wishes}
    with _studio(studio) as place:
        run = TaskRun(progress, threads=cores())
        split = split_into(
            validate(Separate, fields), ArrayReader(mix), lambda _engine: _Memory(rate), place.engines, run
        )
        return mix, split.sink.stems()


def score(
    source: Place,
    *,
    output: str | os.PathLike[str],
    plot: str | os.PathLike[str] | None = None,
    progress: OnProgress = ignore,
    studio: Studio | None = None,
    **wishes: Any,
) -> Done:
    """Music softly under a video or a recording, written to `output`, and a picture of its ducking to `plot` if that is given.

    The report has moods, dips and levels. Wishes: `Score`; `music` is a file or a track.
    """
    fields = {"source": _named(source), "plot": plot is not None, **_music(wishes)}
    picture = Path(plot) if plot is not None else None
    with _studio(studio) as place:
        return place.score(place.request(Score, fields), Path(output), progress, plot=picture)


def mood(source: Place, *, progress: OnProgress = ignore, studio: Studio | None = None, **wishes: Any) -> Mood:
    """What the pictures and the sound of a clip suggest."""
    with _studio(studio) as place:
        report = place.run(place.request(ReadMood, {"source": _named(source), **wishes}), progress).report
        return Mood.model_validate(report["mood"])


class _Memory(ArrayWriter):
    """Stems in memory, used as a context like files are."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        return None


@contextmanager
def _studio(given: Studio | None) -> Iterator[Studio]:
    if given is not None:
        yield given
        return
    with Studio() as own:
        yield own


def _sound(samples: Samples, rate: int) -> Audio:
    samples = np.asarray(samples)
    shape = samples.shape
    if len(shape) != 2 or 0 in shape or rate <= 0 or not np.issubdtype(samples.dtype, np.floating):
        raise InvalidParameter(
            f"samples must be floats [channels, frames], not {samples.dtype} {list(shape)} at {rate} Hz"
        )
    if not np.isfinite(samples).all():
        raise InvalidParameter("samples must be numbers; some are infinite or none")
    return Audio(samples.astype(np.float32, copy=False), rate)


def _named(source: Place) -> Mapping[str, object]:
    return {"track": source.id} if isinstance(source, Track) else {"path": Path(source)}


def _music(wishes: Mapping[str, Any]) -> dict[str, Any]:
    music = wishes.get("music")
    return {**wishes, "music": _named(music)} if isinstance(music, str | os.PathLike | Track) else dict(wishes)


def _beside(source: Place) -> Path | None:
    return None if isinstance(source, Track) else Path(f"{Path(source).stem}_stems")


def _listed(only: str | Sequence[str]) -> list[str]:
    return [name for name in only.split(",") if name] if isinstance(only, str) else list(only)
