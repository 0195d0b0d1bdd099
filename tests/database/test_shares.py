"""A network share is told from a disk by the table of mounts, the innermost mount deciding."""

from __future__ import annotations

from pathlib import Path

import pytest

from sottovoce.database.shares import filesystem_of, share_kind

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/music rw,relatime shared:2 - nfs4 nas:/music rw,vers=4.2
31 30 8:2 / /srv/music/local rw,relatime - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/My\\040Share rw - cifs //nas/share rw
33 22 0:42 / /home/me/remote rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/me/library", "ext4"),
        ("/srv/music", "nfs4"),
        ("/srv/music/library", "nfs4"),
        ("/srv/musical", "ext4"),
        ("/srv/music/local/library", "xfs"),
        ("/mnt/My Share/library", "cifs"),
    ],
)
def test_the_innermost_mount_decides(path: str, kind: str) -> None:
    assert filesystem_of(Path(path), MOUNTS) == kind


def test_only_shares_are_reported(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    kinds = [
        share_kind(Path(path), mounts) for path in ("/home/me", "/srv/music/x", "/mnt/My Share", "/home/me/remote/x")
    ]
    assert kinds == [None, "nfs4", "cifs", "fuse.sshfs"]


def test_where_there_is_no_table_nothing_is_told(tmp_path: Path) -> None:
    assert share_kind(Path("/srv"), tmp_path / "absent") is None
