"""The login of Flower: a file with USER:PASSWORD, made with a random password if there is none."""

import os
import secrets
from pathlib import Path

from sisgate.settings import Settings

USER = "sisgate"


def login_file(settings: Settings) -> Path:
    """Return the file of the settings, or the one in the data folder, which is made at need.

    Only this user can read what is made. Raises `OSError` where it cannot be written.
    """
    if settings.flower_password_file is not None:
        return settings.flower_password_file
    file = settings.data_dir / "flower-password.txt"
    if not file.exists():
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(f"{USER}:{secrets.token_urlsafe(18)}\n")
    return file
