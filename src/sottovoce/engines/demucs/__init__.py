"""Demucs: stems by the networks of Défossez et al. (arXiv 2211.08553), block by block in memory that does not grow."""

import sys

# OpenVINO's converter reports each use to its makers, from a process of its own; without this package it keeps quiet.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
