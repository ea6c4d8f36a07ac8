"""The service secret and the admin key, made at the first start."""

import secrets

from imts.up.faults import CannotStart
from imts.up.folder import DataFolder, write_private

_SECRET_BYTES = 48
_KEY_BYTES = 24


def service_secret(folder: DataFolder) -> str:
    """The secret that the services share; kept for ever, so that living services go on trusting restarted ones."""
    if not folder.secret_file.is_file():
        write_private(folder.secret_file, secrets.token_urlsafe(_SECRET_BYTES) + "\n")
    return folder.secret_file.read_text(encoding="utf-8").strip()


def admin_key(folder: DataFolder, preset: str) -> str:
    """The admin key: the preset one if given, else the kept one, else a new one; always also in the key file."""
    if preset and (not preset.isascii() or not preset.isprintable() or " " in preset):
        raise CannotStart("IMTS_API_KEY must be printable ASCII without spaces")
    kept = folder.key_file.read_text(encoding="utf-8").strip() if folder.key_file.is_file() else ""
    key = preset or kept or "imts-" + secrets.token_urlsafe(_KEY_BYTES)
    if key != kept:
        write_private(folder.key_file, key + "\n")
    return key
