"""A mesh to be broken: the real `imts up` on a MariaDB of its own, its services joined by proxies."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from tests.chaos.mesh.books import Books, open_books
from tests.chaos.mesh.living import Living, living
from tests.chaos.mesh.routes import Routes, open_routes
from tests.chaos.mesh.up import ROUTES
from tests.databases import fresh_schema
from tests.mesh import PORTS, Mesh, answers, free_offset
from tests.own_servers import OwnMariaDb, own_mariadb


@dataclass
class ChaosMesh:
    """All that a run has, in one folder."""

    folder: Path
    mesh: Mesh
    database: OwnMariaDb
    routes: Routes
    books: Books

    def processes(self, role: str) -> list[Living]:
        """The run's processes of this role, by title; spares are nobody's engines."""
        wanted = "shepherd" if role == "spare" else role
        found = [one for one in living(self.folder) if one.role.removeprefix("starting-") == wanted]
        mine = [one for one in found if (one.attempt_id == "spare") == (role == "spare")]
        return sorted(mine, key=lambda one: one.title)

    def is_up(self) -> bool:
        """Whether `imts up` runs."""
        return self.mesh.process is not None and self.mesh.process.poll() is None

    def missing(self) -> list[str]:
        """What does not answer now."""
        away = [name for name in PORTS if not answers(f"{self.mesh.url(name)}/readyz")]
        return [*away, *([] if self.database.answers() else ["database"]), *([] if self.is_up() else ["up"])]


@contextmanager
def chaos_mesh(folder: Path, seed: int) -> Iterator[ChaosMesh]:
    """A mesh that is ready, and gone afterwards."""
    offset = free_offset()
    with ExitStack() as stack:
        database = stack.enter_context(own_mariadb(folder / "mariadb"))
        jobs, log = [stack.enter_context(fresh_schema(database.url)) for _ in range(2)]
        targets = {name: port + offset for name, port in PORTS.items()} | {"database": database.port}
        routes = stack.enter_context(open_routes(targets, seed))

        def through_proxy(url: str) -> str:
            proxied = make_url(url).set(port=routes.ports["database"])
            return proxied.render_as_string(hide_password=False)

        (folder / "tmp").mkdir()
        environment = {
            ROUTES: json.dumps(routes.ports), "TMPDIR": str(folder / "tmp"),
            "ORCHESTRATOR_DATABASE_URL": through_proxy(jobs), "STREAM_DATABASE_URL": through_proxy(log),
        }  # fmt: skip
        mesh = Mesh(folder / "data", offset, environment, program="tests.chaos.mesh.up")
        stack.callback(mesh.end)
        mesh.start()
        books = stack.enter_context(open_books(jobs, log))
        yield ChaosMesh(folder, mesh, database, routes, books)
