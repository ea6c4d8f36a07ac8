"""Everything in the order in which one would mend it."""

import json
from collections.abc import Iterator, Mapping

from imts.client import Client
from imts.client.errors import ClientError
from imts.doctor import engine, folder, services, settings
from imts.remembered import find_connection
from imts.up.commands import PORTS, Address, mesh
from imts.up.folder import DataFolder
from shared.contracts.checkup import Finding, broken, doubtful


def look(place: DataFolder, address: Address, environ: Mapping[str, str]) -> Iterator[Finding]:
    """All findings; what does not exist yet is no fault, and the mesh may be down."""
    has_folder = place.root.is_dir()
    if has_folder:
        yield from folder.look(place)
        yield from settings.look(_environments(place, address, environ))
    elif not environ.get("IMTS_URL"):
        yield doubtful(
            "data folder", f"there is none at {place.root}", "`imts up` makes it, or name another with --data-dir"
        )
    ports = _ports(place) if has_folder else {}
    if ports:
        yield from services.look({name: f"http://{address.host}:{port}" for name, port in ports.items()})
        yield from _with_client(f"http://{address.host}:{ports['orchestrator']}", _key(place, environ))
    elif environ.get("IMTS_URL"):
        yield from _remote(environ)
    else:
        yield from services.ports_free(address.host, {name: address.port(name) for name in PORTS})
    if has_folder or not environ.get("IMTS_URL"):
        yield from engine.look()


def _environments(place: DataFolder, address: Address, environ: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    secret = place.secret_file.read_text(encoding="utf-8").strip() if place.secret_file.is_file() else "x" * 32
    commands = mesh(address, place, environ, secret, _key(place, environ))
    return {command.name: command.environ for command in commands}


def _key(place: DataFolder, environ: Mapping[str, str]) -> str:
    kept = place.key_file.read_text(encoding="utf-8").strip() if place.key_file.is_file() else ""
    return environ.get("IMTS_API_KEY") or kept or "none"


def _ports(place: DataFolder) -> dict[str, int]:
    """Where the services of a mesh that is up listen; empty when it is down."""
    if not folder.is_up(place):
        return {}
    try:
        return {name: int(json.loads(place.record(name).read_text(encoding="utf-8"))["port"]) for name in PORTS}
    except (OSError, ValueError, KeyError):
        return {}


def _with_client(url: str, key: str) -> Iterator[Finding]:
    with Client(url, key, timeout_s=10) as client:
        yield from engine.look_at_workers(client)


def _remote(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A mesh on other machines: its orchestrator says where the others are."""
    try:
        found = find_connection(environ)
        with Client(found.url, found.key, timeout_s=10) as client:
            urls = {service.name: service.url for service in client.system().services}
            yield from services.look(urls)
            yield from engine.look_at_workers(client)
    except ClientError as fault:
        yield broken("orchestrator", str(fault), "see IMTS_URL and IMTS_API_KEY, and that it runs")
