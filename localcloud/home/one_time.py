"""One-time codes: whoever has one may sign in to this home's dashboard, once, within ten minutes.

Any process of the home's owner can make a code. Only its hash is stored, as the name of a file, so the comparison
tells nothing about the code, and deleting the file is what makes it valid only once.
"""

import contextlib
import hashlib
import os
import secrets
import time
from pathlib import Path

FOLDER = "sign-in"
VALID_S = 600.0
_LONGEST = 100  # characters; a code has 43


def create(home: Path) -> str:
    """Return a new code, and forget those that have expired."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.iterdir():
        with contextlib.suppress(OSError):
            if _expired(old):
                old.unlink()
    code = secrets.token_urlsafe(32)
    os.close(os.open(folder / _name(code), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return code


def redeem(home: Path, code: str) -> bool:
    """Return whether a code is valid; it no longer is afterwards."""
    if not code or len(code) > _LONGEST:
        return False
    file = home / FOLDER / _name(code)
    try:
        expired = _expired(file)
        file.unlink()
    except OSError:
        return False
    return not expired


def _name(code: str) -> str:
    return hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()


def _expired(file: Path) -> bool:
    return not 0 <= time.time() - file.stat().st_mtime + 1 <= VALID_S + 1
