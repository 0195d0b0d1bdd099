"""`python -m sottovoce` is the command `sotto`."""

from __future__ import annotations

from sottovoce.cli import main

main()
