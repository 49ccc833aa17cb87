"""The secret part of the page's address, kept so that a browser source finds the page again."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from normtr.errors import UserError
from normtr.whole_file import whole_file

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def usual_path() -> Path:
    """In the user's own data folder. Who deletes the file gets a new address."""
    base = os.environ.get("XDG_DATA_HOME", "")
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return folder / "normtr" / "page_token"


def kept_token(path: Path) -> str:
    """The token in the file; made anew where there is none, or one that others could read.

    Raises UserError when it cannot be kept.
    """
    try:
        if path.is_file() and not path.stat().st_mode & 0o077:
            token = path.read_text(encoding="ascii", errors="replace")
            if TOKEN.fullmatch(token):
                return token
        token = secrets.token_urlsafe(32)
        with whole_file(path) as partial:
            partial.unlink(missing_ok=True)
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(token)
        return token
    except OSError as error:
        raise UserError(f"cannot keep the page's address in {path}: {error.strerror}.") from None
