"""Telling a network share from a disk of this machine, by the table of mounts (Linux; elsewhere nothing is told)."""

from __future__ import annotations

from pathlib import Path

_SHARES = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "davfs"),
        *("ceph", "glusterfs", "lustre", "gfs2", "ocfs2", "beegfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.davfs"),
    )
)
_MOUNTS = Path("/proc/self/mountinfo")


def share_kind(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The kind of network share an absolute path lies on, such as `nfs4`; None on a local disk or where it cannot be told."""
    if not mounts.exists():
        return None
    kind = filesystem_of(path, mounts.read_text(encoding="utf-8", errors="replace"))
    return kind if kind in _SHARES else None


def filesystem_of(path: Path, mountinfo: str) -> str | None:
    """The kind of file system an absolute path lies on, by the text of `/proc/self/mountinfo`."""
    kinds = dict(_mount(line) for line in mountinfo.splitlines() if " - " in line)
    return next((kinds[place] for place in (path, *path.parents) if place in kinds), None)


def _mount(line: str) -> tuple[Path, str]:
    """Mount point (fifth field, spaces written as \\040) and kind (first field after the dash); see proc(5)."""
    head, tail = line.split(" - ", 1)
    return Path(head.split()[4].replace("\\040", " ")), tail.split()[0]
