"""The secret part of the page's address. It is kept, so that a browser source finds the page
again."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from normtr import data_folder, private_file
from normtr.errors import UserError

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def usual_path() -> Path:
    """Return the file in the user's data folder; deleting it leads to a new address."""
    return data_folder.usual() / "page_token"


def kept_token(path: Path) -> str:
    """Return the token in the file; make it anew if there is none, or if others can read it.

    Raises UserError when it cannot be kept.
    """
    try:
        if path.is_file() and not path.stat().st_mode & 0o077:
            token = path.read_text(encoding="ascii", errors="replace")
            if TOKEN.fullmatch(token):
                return token
        token = secrets.token_urlsafe(32)
        private_file.write(path, token)
        return token
    except OSError as error:
        raise UserError(f"cannot keep the page's address in {path}: {error.strerror}.") from None
