"""What every section of the settings is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from sottovoce import errors

Folder = Annotated[Path, AfterValidator(Path.expanduser)]


class Section(BaseModel):
    """Base of the sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def secret_in(file: Path, what: str) -> str:
    """The secret in a file that holds nothing else; InputUnreadable if it cannot be read, and `what` says which it is."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InputUnreadable(f"the {what} in {file} cannot be read: {error}") from None
