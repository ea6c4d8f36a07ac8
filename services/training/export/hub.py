"""The door to model hubs that the operator named: a folder becomes a commit of a repository there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from huggingface_hub import HfApi, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils._http import default_client_factory

from shared.kit.targets import Hub

_LONGEST_TOLD = 500
_TIMEOUT = httpx.Timeout(600.0, connect=10.0)
_BUSY = frozenset({408, 429})


class HubAway(Exception):
    """The hub does not answer, or not as one does; the text says how. Trying again may help."""


class HubRefused(Exception):
    """The hub's own word for why it will not."""


def push(hub: Hub, token: str, name: str, folder: Path, message: str, *, is_private: bool) -> str:
    """Make the repository if it is not there, and its newest commit the folder's files; answers the commit's id.

    What the hub has already is not sent again; where nothing changed, its newest commit stands.
    """
    api = HfApi(endpoint=hub.endpoint, token=token)
    repository = f"{hub.namespace}/{name}"
    try:
        with _straight():
            api.create_repo(repository, private=is_private, exist_ok=True)
            made = api.upload_folder(
                repo_id=repository, folder_path=folder, commit_message=message, delete_patterns="*"
            )
            return str(made.oid)
    except HfHubHTTPError as fault:
        raise _told(fault, token) from None
    except HFValidationError:
        raise HubRefused("a repository there cannot have this name; choose another outputName") from None
    except httpx.HTTPError as fault:
        raise HubAway(f"no answer ({type(fault).__name__})") from None
    except (KeyError, ValueError) as fault:
        raise HubAway(f"it answered in a way that no hub does ({type(fault).__name__})") from None


@contextmanager
def _straight() -> Iterator[None]:
    """No redirect and no proxy, so that the token goes to the address named only; engines have no other way out."""
    hooks = {"response": [_stay]}
    set_client_factory(
        lambda: httpx.Client(follow_redirects=False, trust_env=False, timeout=_TIMEOUT, event_hooks=hooks)
    )
    try:
        yield
    finally:
        set_client_factory(default_client_factory)


def _stay(response: httpx.Response) -> None:
    if response.is_redirect:
        raise HubRefused(f"it sends elsewhere, and no redirect is followed ({response.status_code})")


def _told(fault: HfHubHTTPError, token: str) -> HubAway | HubRefused:
    status = fault.response.status_code
    said = (fault.server_message or "no reason given").replace(token, "***")[:_LONGEST_TOLD]
    kind = HubRefused if 300 <= status < 500 and status not in _BUSY else HubAway
    return kind(f"{said} ({status})")
