"""Takes secrets, and paths outside the job's folder, out of text that leaves the machine."""

import re
from pathlib import PurePosixPath

_HIDDEN = "***"
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {_HIDDEN}"),
    (re.compile(r"(?i)\b(\w*(?:api|access|secret|private)[_-]?key|\w*secret|(?:\w+[_-])?(?:auth|access|api|hf|hub)[_-]?token"
                r"|token|password|passwd|authorization)(\"?'?\s*[:=]\s*\"?'?)[^\s\"',;&]+"), rf"\1\2{_HIDDEN}"),
    (re.compile(r"\b(?:sk|hf|ghp|gho|glpat|xox[bp]|imts)[-_][A-Za-z0-9_-]{12,}|\bAKIA[A-Z0-9]{12,}"), _HIDDEN),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"), _HIDDEN),
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{_HIDDEN}@"),
    (re.compile(r"(?<=\w)\?[\w.%-]+=[^\s\"']+"), f"?{_HIDDEN}"),
)  # fmt: skip
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_QUOTED_PATH = re.compile(r"(?P<quote>['\"`])(?P<path>/[^'\"`\n]*)(?P=quote)")
_BARE_PATH = re.compile(r"(?<![\w.:/'\"`…])(?P<path>/(?:[\w.@+~=-]+/)*[\w.@+~=-]+)")
_LIBRARIES = re.compile(r"^.*/(?:site|dist)-packages/")


def redact(text: str, folder: str, longest: int) -> str:
    """`text` without secrets, control characters and foreign paths, at most `longest` characters of it.

    Paths inside `folder` are named from there, a library's from its package, all others by their last part.
    """
    clean = _CONTROL.sub("", text)
    for pattern, instead in _SECRETS:
        clean = pattern.sub(instead, clean)
    clean = _QUOTED_PATH.sub(lambda m: f"{m['quote']}{_named(m['path'], folder)}{m['quote']}", clean)
    clean = _BARE_PATH.sub(lambda m: _named(m["path"], folder), clean)
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


def _named(path: str, folder: str) -> str:
    if folder and (path == folder or path.startswith(f"{folder}/")):
        return path[len(folder) + 1 :] or "."
    if _LIBRARIES.match(path):
        return _LIBRARIES.sub("", path)
    return f"…/{PurePosixPath(path).name}" if path.count("/") > 1 else path
