"""Secrets that must be read again: encrypted in the database, under a key that is not in it."""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Unsealable(Exception):
    """Sealed under another service secret, or damaged."""


class Sealer:
    """Seals texts for one purpose with a key derived from the mesh's service secret."""

    def __init__(self, secret: str, purpose: str) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"imts:{purpose}".encode()).derive(secret.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, text: str) -> str:
        """What may be stored."""
        return self._fernet.encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """The text again."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise Unsealable from None
