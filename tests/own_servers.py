"""A Redis and a MariaDB of a test's own, to be killed and started again; the machine's are left alone."""

import getpass
import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError

from shared.kit.sql import open_engine
from tests.ports import free_port
from tests.waiting import eventually


def required_program(name: str) -> str:
    """A program's path; absent it skips, except in CI, where it fails."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} must be installed in CI")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


class OwnServer(ABC):
    """A server on a port and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:  # noqa: B027
        """Make what it needs before its first start; most need nothing."""

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves now."""

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=log, stderr=log)
        eventually(self.answers, within_s=60)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal and wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)

    def stop(self) -> None:
        """End it as an operator would."""
        self.kill(signal.SIGTERM)

    def end(self) -> None:
        """Leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            self.kill()


class OwnRedis(OwnServer):
    """Keeps nothing on disk."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        program = required_program("redis-server")
        return [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as redis:
                return bool(redis.ping())
        except RedisError:
            return False


class OwnMariaDb(OwnServer):
    """Durable: a commit is on disk before it is answered."""

    @property
    def url(self) -> str:
        """Its address, without a schema."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}"

    def install(self) -> None:
        """Make the data folder."""
        program = required_program("mariadb-install-db")
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([program, *self._shared(), *options], check=True, capture_output=True)

    def _shared(self) -> list[str]:
        return ["--no-defaults", f"--user={getpass.getuser()}", f"--datadir={self.folder / 'data'}"]

    def command(self) -> list[str]:
        where = [f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.folder / 'socket'}"]
        small = ["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=32M", f"--pid-file={self.folder / 'pid'}"]
        return [required_program("mariadbd"), *self._shared(), *where, *small]

    def answers(self) -> bool:
        engine = open_engine(self.url, pool_size=1)
        try:
            engine.connect().close()
        except OperationalError:
            return False
        finally:
            engine.dispose()
        return True


S = TypeVar("S", bound=OwnServer)


@contextmanager
def _serving(server: S) -> Iterator[S]:
    server.folder.mkdir(parents=True)
    try:
        server.install()
        server.start()
        yield server
    finally:
        server.end()


def own_redis(folder: Path) -> AbstractContextManager[OwnRedis]:
    """A Redis that answers, and is gone afterwards."""
    return _serving(OwnRedis(folder))


def own_mariadb(folder: Path) -> AbstractContextManager[OwnMariaDb]:
    """A MariaDB that answers, and is gone afterwards."""
    return _serving(OwnMariaDb(folder))
