"""HTDemucs compiled for the processor: the core by OpenVINO, the Fourier transforms around it by torch."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import openvino
import torch
from demucs.htdemucs import HTDemucs
from numpy.typing import NDArray

from sottovoce.engines.demucs.core import Core, finished, prepared
from sottovoce.engines.demucs.network import Still

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What the compiled network depends on besides the weights.
_LIBRARIES = ("openvino", "demucs", "torch")


class CompiledNetwork:
    """A network for the processor, in float32 or, `reduced`, with its products in bfloat16.

    All threads work on one chunk: two side by side were no faster here and took 0.4 GB more. The network's own weights are given up, since
    those of the compiled one are a copy.
    """

    fixed = True
    #: Between two looks at whether the result is still wanted.
    patience_ms = 100

    def __init__(self, module: HTDemucs, model: openvino.Model, *, threads: int, reduced: bool = False) -> None:
        self.rate = int(module.samplerate)
        self.segment = int(module.segment * self.rate)
        self.device = "cpu"
        self._module = module.to("meta")
        compiled = openvino.Core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if reduced else "f32",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._request = compiled.create_infer_request()

    def input_frames(self, frames: int) -> int:
        """Always the length it was trained for."""
        del frames
        return self.segment

    def split(self, chunks: NDArray[np.float32], still: Still) -> NDArray[np.float32]:
        """Stems of chunks, one after the other."""
        return np.concatenate([self._stems(chunk[None], still) for chunk in chunks])

    def _stems(self, mix: NDArray[np.float32], still: Still) -> NDArray[np.float32]:
        with torch.inference_mode():
            chunk = prepared(self._module, torch.from_numpy(mix))
            self._infer([chunk.spectrum.numpy(), chunk.waveform.numpy()], still)
            outputs = (torch.from_numpy(self._request.get_output_tensor(index).data) for index in (0, 1))
            return np.asarray(finished(self._module, chunk, *outputs).numpy(), np.float32)

    def _infer(self, inputs: list[NDArray[np.float32]], still: Still) -> None:
        """Run the core; if `still` raises, it stops between two of its layers."""
        self._request.start_async(inputs, share_inputs=True)
        done = False
        try:
            while not (done := self._request.wait_for(self.patience_ms)):
                still()
        finally:
            if not done:
                self._request.cancel()
                with suppress(RuntimeError):  # that it was cancelled
                    self._request.wait()


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16."""
    return "BF16" in cast("Sequence[str]", openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def converted(module: HTDemucs, weights: Path, cache: Path | None) -> openvino.Model:
    """The core of a network as OpenVINO has it; kept in the folder `cache` under the hash of its weights file."""
    kept = kept_as(weights, cache)
    if kept is not None and kept.exists():
        return openvino.Core().read_model(kept)
    model = _traced(module)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        # The description is written last, so that one that is there has its weights.
        draft = kept.with_name(f"{kept.stem}.draft.xml")
        openvino.save_model(model, draft, compress_to_fp16=False)
        draft.with_suffix(".bin").replace(kept.with_suffix(".bin"))
        draft.replace(kept)
    return model


def kept_as(weights: Path, cache: Path | None) -> Path | None:
    """Where the compiled network of a weights file is kept, or will be."""
    return cache / f"{fingerprint(weights)}.xml" if cache else None


def fingerprint(weights: Path) -> str:
    """A name for what comes of a weights file with the libraries that are here."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(" ".join(version(name) for name in _LIBRARIES).encode())
    return digest.hexdigest()[:32]


def _traced(module: HTDemucs) -> openvino.Model:
    with torch.no_grad():
        chunk = prepared(module, torch.zeros(1, 2, int(module.segment * module.samplerate)))
        inputs: Any = (chunk.spectrum, chunk.waveform)
        with warnings.catch_warnings():
            # Tracing warns of lengths it takes as fixed, which they are here, and of its own end.
            warnings.simplefilter("ignore")
            trace = torch.jit.trace(Core(module), inputs, check_trace=False)
        return openvino.convert_model(trace, example_input=inputs, input=[list(part.shape) for part in inputs])
