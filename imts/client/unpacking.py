"""Unpack a downloaded tree without trusting what is in it."""

import os
import secrets
import shutil
import tarfile
from pathlib import Path

from imts.client.errors import ClientError


def unpack(archive: Path, target: Path) -> Path:
    """Turn a tar file into the folder `target`, which appears only when it is whole."""
    if target.exists():
        raise ClientError(f"{target} is already there; name a folder that does not exist")
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        os.rename(scratch, target)
    except tarfile.TarError as fault:
        raise ClientError(f"the server sent an archive that cannot be unpacked: {type(fault).__name__}") from fault
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
