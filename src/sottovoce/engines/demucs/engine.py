"""The engine: Demucs' networks run in a block loop of our own, with demucs' results in memory that does not grow with the length."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sottovoce import errors
from sottovoce.audio import RESIDUAL, AudioReader, Stem, StemWriter
from sottovoce.dsp.overlap_add import Window
from sottovoce.engines.base import Capabilities, EngineOptions, Run, Separation, Unavailable
from sottovoce.engines.demucs.channels import groups, unpaired
from sottovoce.engines.demucs.delivery import Delivery, Rest
from sottovoce.engines.demucs.header import read_header
from sottovoce.engines.demucs.listening import levels, stream, stream_frames
from sottovoce.engines.demucs.memory import give_back
from sottovoce.engines.demucs.models import MODELS, Model
from sottovoce.engines.demucs.options import DemucsConfig, DemucsOptions
from sottovoce.machine import processor
from sottovoce.progress import OnProgress, ignore, within
from sottovoce.version import __version__

if TYPE_CHECKING:
    from sottovoce.engines.demucs.fitting import Fitting
    from sottovoce.engines.demucs.network import Network
    from sottovoce.engines.demucs.passes import Pass, Split
    from sottovoce.engines.demucs.runtime import Ready, Way

#: Chunks at once, where nothing was asked for: a processor gains nothing by more.
_BATCH = {"cpu": 1, "cuda": 8, "mps": 2}
_PACKAGES = ("demucs", "torch", "safetensors")
#: What of a plan decides the stems, beside how its networks run.
_DECIDING = ("overlap", "shifts", "segment", "batch", "rest", "wanted", "cpu_fallback")
#: The libraries whose version can change the stems.
_SHAPING = ("demucs", "torch", "openvino")
_INSTALL = "pip install 'sottovoce[demucs]'"
_FILES = (".safetensors", ".th")


class Weights(Protocol):
    """Where weights lie."""

    def located(self, name: str, *, only: Collection[str] = (), progress: OnProgress = ignore) -> tuple[Path, ...]:
        """The files of a model (`only` those named), checked and fetched where that is allowed; MODEL_NOT_FOUND otherwise."""


@dataclass(frozen=True)
class Plan:
    """What one request comes to: a model, the networks of it that are needed, and every option settled."""

    model: Model
    members: tuple[int, ...]
    wanted: tuple[Stem, ...]
    way: Way
    overlap: float
    shifts: int
    segment: float | None
    batch: int
    rest: Rest
    path: Path | None = None
    pickled: bool = False
    cpu_fallback: bool = False

    @property
    def stems(self) -> tuple[Stem, ...]:
        """The stems that must be made: all of them where the rest is made of them."""
        return self.wanted if self.rest == "drop" else self.model.stems

    def as_options(self, used: _Used) -> dict[str, Any]:
        """For the recipe; what was left open is as the network ran."""
        names = ("overlap", "shifts", "segment", "rest")
        network = used.ready
        measured = {} if network.deviation_db is None else {"deviation_db": network.deviation_db}
        own = {} if self.path is None else {"sha256": _sha256(self.path)}
        return {
            "model": self.model.name,
            **own,
            "device": used.device,
            "batch": used.batch,
            "runtime": network.runtime,
            "precision": network.precision,
            **measured,
            "threads": self.way.threads,
            **{name: getattr(self, name) for name in names},
        }


@dataclass(frozen=True, eq=False)
class _Used:
    """How a separation ran in the end: the first of its networks, the device, and the chunks that went at once."""

    ready: Ready
    device: str
    batch: int


@dataclass
class _Loaded:
    """The networks that are in memory, by file and way to run."""

    networks: dict[tuple[Path, Way], Ready] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Demucs:
    """Stems by Demucs; the same source, options and seed give the same stems."""

    name: ClassVar[str] = "demucs"
    title: ClassVar[str] = "Demucs"
    version: ClassVar[str] = __version__
    Config: ClassVar[type[DemucsConfig]] = DemucsConfig
    section: ClassVar[str | None] = "demucs"
    Options: ClassVar[type[DemucsOptions]] = DemucsOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        tasks=("separate",),
        stems=MODELS["htdemucs_6s"].stems,
        needs="torch, and weights of 84 to 340 MB",
        licence="MIT",
        quality="neural; htdemucs for most, htdemucs_ft for quality, htdemucs_6s for guitar and a weak piano",
    )

    def __init__(self, config: DemucsConfig, weights: Weights | None = None, device: str = "cpu") -> None:
        self.config, self.weights, self.device = config, weights, device
        self._loaded = _Loaded()

    def unavailable(self) -> Unavailable | None:
        """Whether its packages are here; weights are asked for when their model is known."""
        missing = [name for name in _PACKAGES if find_spec(name) is None]
        return Unavailable(f"the packages {', '.join(missing)} are missing", _INSTALL) if missing else None

    def close(self) -> None:
        """Forget the networks."""
        with self._loaded.lock:
            held = bool(self._loaded.networks)
            self._loaded.networks.clear()
        if held:
            give_back()

    def stems_of(self, model: str | None) -> tuple[Stem, ...]:
        """The stems of a model, or of the one in the settings, or of a weights file of one's own."""
        return _model(model or self.config.model).stems

    def settled(self, options: EngineOptions, run: Run) -> Mapping[str, Any]:
        """Options and settings together as they hold here, the weights by hash, the seed if shifts are drawn from it.

        What `auto` comes to is decided by processor, libraries and weights, so the network need not be loaded to know.
        """
        assert isinstance(options, DemucsOptions)
        plan = self._plan(options, run)
        loading = within(run.progress, 0, 1)
        files = [plan.path or self._file(plan.model, member, loading) for member in plan.members]
        return {
            **asdict(plan.way),
            **{name: getattr(plan, name) for name in _DECIDING},
            "weights": [_sha256(file) for file in files],
            "seed": run.seed if plan.shifts else None,
            "processor": processor(),
            "libraries": {name: version(name) if find_spec(name) else None for name in _SHAPING},
        }

    def separate(self, source: AudioReader, sink: StemWriter, options: EngineOptions, run: Run) -> Separation:
        """Write the stems chunk by chunk; a cancel ends the work within a chunk, between two layers of the network."""
        assert isinstance(options, DemucsOptions)
        plan = self._plan(options, run)
        with self._loaded.lock:
            used = _Separating(plan, source, sink, run, self._network).run()
        residual = (RESIDUAL,) if plan.rest == "residual" else ()
        return Separation((*plan.wanted, *residual), plan.model.name, plan.as_options(used), _notes(source, plan, used))

    def _plan(self, options: DemucsOptions, run: Run) -> Plan:
        asked = {**self.config.model_dump(), **options.model_dump(exclude_none=True)}
        model = _model(asked["model"])
        wanted = _wanted(model, options.only)
        rest = _rest(options)
        members = model.members(wanted if rest == "drop" else model.stems)
        path = _own_file(asked["model"])
        if path is None:
            # Before torch is loaded, which takes seconds: without weights there is nothing to load it for.
            self._files(model, members, within(run.progress, 0, 1))
        way = _way(asked, options, run)
        return Plan(
            model=model,
            members=members,
            wanted=wanted,
            rest=rest,
            way=way,
            batch=options.batch or _BATCH.get(way.device.split(":", maxsplit=1)[0], 1),
            path=path,
            **{name: asked[name] for name in ("overlap", "shifts", "segment", "pickled", "cpu_fallback")},
        )

    def _network(self, plan: Plan, member: int, progress: OnProgress) -> Ready:
        from sottovoce.engines.demucs.runtime import ready

        path = plan.path or self._file(plan.model, member, progress)
        loaded = self._loaded.networks
        if (path, plan.way) not in loaded:
            # Networks that run another way would only take memory.
            for other in [other for other in loaded if other[1] != plan.way]:
                del loaded[other]
            loaded[path, plan.way] = ready(
                path, plan.model.stems, plan.way, cache=self.config.cache, pickled=plan.pickled
            )
        return loaded[path, plan.way]

    def _file(self, model: Model, member: int, progress: OnProgress) -> Path:
        return self._files(model, (member,), progress)[0]

    def _files(self, model: Model, members: Sequence[int], progress: OnProgress) -> tuple[Path, ...]:
        if self.weights is None:
            raise errors.ModelNotFound(
                f"the weights of {model.name} are not here", hint=f"Type `sotto models pull {model.name}`."
            )
        names = tuple(f"{model.signatures[member]}.safetensors" for member in members)
        return self.weights.located(model.name, only=names, progress=progress)


@dataclass(frozen=True, eq=False)
class _Separating:
    """One separation on its way."""

    plan: Plan
    source: AudioReader
    sink: StemWriter
    progress: Run
    load: Callable[[Plan, int, OnProgress], Ready]

    def run(self) -> _Used:
        """Do it; how it was done."""
        from sottovoce.engines.demucs.network import torch_threads
        from sottovoce.engines.demucs.passes import Split

        self.progress.report("load", 0)
        loading = within(self.progress.progress, 0, 1)
        networks = {member: self.load(self.plan, member, loading) for member in self.plan.members}
        fitted = {member: self._fitting(network) for member, network in networks.items()}
        rate = next(iter(fitted.values())).rate
        self.progress.report("listen", 1)
        level = levels(self.source, rate)
        frames = stream_frames(self.source, rate)
        with torch_threads(self.plan.way.threads):
            split = Split(self._passes(fitted, frames), level, batch=self.plan.batch)
            self._deliver(split, rate, frames)
        return self._used(next(iter(networks.values())), tuple(fitted.values()))

    def _fitting(self, network: Ready) -> Fitting:
        from sottovoce.engines.demucs.fitting import Fitting

        device = "cpu" if network.runtime == "openvino" else self.plan.way.device
        return Fitting(network.network, device, cpu_fallback=self.plan.cpu_fallback)

    def _used(self, first: Ready, fitted: Sequence[Fitting]) -> _Used:
        """The slowest device and the smallest batch of all networks."""
        devices = {network.device for network in fitted}
        batch = min(network.batch or self.plan.batch for network in fitted)
        return _Used(first, "cpu" if "cpu" in devices else devices.pop(), batch)

    def _deliver(self, split: Split, rate: int, frames: int) -> None:
        plan, source = self.plan, self.source
        out = Delivery(source, self.sink, plan.stems, wanted=plan.wanted, rate=rate, rest=plan.rest)
        window = Window(stream(source, rate), 2 * len(groups(source.channels)), frames)
        total = split.chunks

        def done(count: int) -> None:
            self.progress.report("separate", 2 + 98 * count / max(1, total), step=count, total=total)

        for stems in split.stems(window, frames, done):
            out.push(unpaired(stems, source.channels))
        out.close()

    def _passes(self, networks: Mapping[int, Fitting], frames: int) -> list[Pass]:
        from sottovoce.engines.demucs.passes import Pass, grids, longest_shift

        plan = self.plan
        draw = np.random.default_rng(self.progress.seed)
        places = np.array([plan.model.stems.index(stem) for stem in plan.stems], np.intp)
        shares = _shares(plan, tuple(networks))[:, places] / max(1, plan.shifts)
        passes = []
        for network, share in zip(networks.values(), shares, strict=True):
            shifts = draw.integers(0, longest_shift(network.rate) + 1, plan.shifts).tolist()
            segment = _segment(plan, network)
            cut = grids(network, frames, segment=segment, overlap=plan.overlap, shifts=shifts)
            passes += [Pass(network, grid, places, share.astype(np.float32)) for grid in cut]
        return passes


def _model(name: str) -> Model:
    """A model of demucs', or one made of a single file."""
    path = _own_file(name)
    if path is not None:
        stems = read_header(path).stems if path.suffix == ".safetensors" else MODELS["htdemucs"].stems
        return Model(path.name, (path.stem,), stems)
    if name not in MODELS:
        raise errors.InvalidParameter(
            f"demucs has no model {name!r}; there are {', '.join(MODELS)}, or give the path of a .safetensors file"
        )
    return MODELS[name]


def _own_file(name: str) -> Path | None:
    return Path(name) if name.endswith(_FILES) else None


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise errors.ModelNotFound(f"{path.name} cannot be read: {error.strerror}") from error


def _wanted(model: Model, only: Sequence[Stem]) -> tuple[Stem, ...]:
    """The stems to write; `no_<stem>` is made of the stem."""
    plain = tuple(dict.fromkeys(Stem(stem.removeprefix("no_")) for stem in only))
    missing = [stem for stem in plain if stem not in model.stems]
    if missing:
        raise errors.InvalidParameter(
            f"{model.name} has no stem {', '.join(missing)}; it gives {', '.join(model.stems)}"
        )
    return plain or model.stems


def _rest(options: DemucsOptions) -> Rest:
    if options.residual and options.sum_to_mix:
        raise errors.InvalidParameter(
            "residual and sum_to_mix exclude each other: with the one, nothing is left for the other"
        )
    return "residual" if options.residual else "spread" if options.sum_to_mix else "drop"


def _way(asked: Mapping[str, Any], options: DemucsOptions, run: Run) -> Way:
    from sottovoce.engines.demucs.runtime import Way

    threads = run.threads if asked["threads"] == "auto" else asked["threads"]
    return Way(_device(asked["device"]), options.runtime, asked["precision"], threads)


def _device(asked: str) -> str:
    import torch

    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=asked)
    except (RuntimeError, AssertionError) as error:
        raise errors.InvalidParameter(
            f"there is no device {asked!r} here; use cpu", details={"torch": str(error).splitlines()[0]}
        ) from error
    return asked


def _segment(plan: Plan, network: Network) -> int:
    """Frames of a chunk; a transformer takes its own length only."""
    if plan.segment is not None and network.fixed:
        raise errors.InvalidParameter(
            f"{plan.model.name} works in chunks of {network.segment / network.rate:g} s and no others: longer ones are beyond what it "
            "was trained for, shorter ones cost more and sound worse; segment is for mdx and hdemucs models"
        )
    seconds = plan.segment or plan.model.segment
    return network.segment if seconds is None else int(seconds * network.rate)


def _shares(plan: Plan, members: Sequence[int]) -> NDArray[np.float64]:
    """How much each network counts in each stem: [members, stems], 1 in all."""
    weights = plan.model.weights or [[1.0] * len(plan.model.stems)] * len(plan.model.signatures)
    # Networks that stay out have no part in the stems made; the other stems are never looked at.
    total = np.maximum(np.sum(weights, axis=0), 1e-9)
    return np.asarray(np.array([weights[member] for member in members]) / total, np.float64)


def _notes(source: AudioReader, plan: Plan, used: _Used) -> tuple[str, ...]:
    parts = len(groups(source.channels))
    surround = (f"{source.channels} channels went through the network in {parts} groups",) if parts > 1 else ()
    saved = len(plan.model.signatures) - len(plan.members)
    only = (f"{len(plan.members)} of {saved + len(plan.members)} networks were needed",) if saved else ()
    return (*surround, *only, *_retreats(plan, used))


def _retreats(plan: Plan, used: _Used) -> tuple[str, ...]:
    """What the device's memory did not allow."""
    if used.device == "cpu" and used.ready.runtime == "torch" and plan.way.device != "cpu":
        return (f"not even one chunk fitted into the memory of {plan.way.device}; the processor did it",)
    if used.batch < plan.batch:
        return (
            f"{used.batch} chunks went at once, not {plan.batch}: more did not fit into the memory of {used.device}",
        )
    return ()
