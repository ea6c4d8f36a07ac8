"""A model hub on loopback: repositories, large files under their checked hash, commits; tokens are asked for."""

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMESPACE = "team"
TOKEN = "hf_only-the-hub-and-its-operator-know-this"


class FakeHub:
    """What it was sent; `refuses` and `redirects_to` make it misbehave."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, Any]] = {}
        """By id: how it was made, and in `commits` the files of each, newest last."""
        self.large: dict[str, bytes] = {}
        self.uploads = 0
        self.refuses: tuple[int, str] | None = None
        self.redirects_to = ""
        self.server = _Server(self)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def files(self, repository: str) -> dict[str, bytes]:
        """Of its newest commit."""
        commits: list[dict[str, bytes]] = self.repositories[repository]["commits"]
        return commits[-1] if commits else {}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    """One stays with each connection that a client keeps."""

    def __init__(self, fake: FakeHub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._is_stopped():
            repository = self._repository()
            files = [{"rfilename": name} for name in self.server.fake.files(repository)]
            told = {"id": repository, "sha": self._head(repository), "private": True, "siblings": files, "tags": []}
            self._answer(200, [] if "/tree/" in self.path else told)

    def do_PUT(self) -> None:
        content = self._body()
        digest = self.path.rpartition("/")[2]
        self.server.fake.uploads += 1
        if hashlib.sha256(content).hexdigest() != digest:
            self._answer(400, {"error": "digest mismatch"})
            return
        self.server.fake.large[digest] = content
        self._answer(200, {})

    def do_POST(self) -> None:
        body = self._body()
        if self._is_stopped():
            return
        if self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            self._answer(200, {"files": [self._mode(file["path"]) for file in asked]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._answer(200, {"objects": [self._place(one) for one in json.loads(body)["objects"]]})
        elif "/commit/" in self.path:
            self._commit([json.loads(line) for line in body.splitlines()])
        else:
            self._answer(200, {})

    def _is_stopped(self) -> bool:
        fake = self.server.fake
        if fake.redirects_to:
            self.send_response(307)
            self.send_header("location", fake.redirects_to)
            self.send_header("content-length", "0")
            self.end_headers()
        elif self.headers["authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid credentials in Authorization header"})
        elif fake.refuses is not None:
            self._answer(fake.refuses[0], {"error": fake.refuses[1]})
        else:
            return False
        return True

    def _repository(self) -> str:
        return "/".join(self.path.removeprefix("/api/models/").split("/")[:2])

    def _head(self, repository: str) -> str:
        return f"{len(self.server.fake.repositories[repository]['commits']):040x}"

    def _create(self, asked: dict[str, Any]) -> None:
        repository = f"{asked['organization']}/{asked['name']}"
        url = f"{self.server.fake.url}/{repository}"
        if repository in self.server.fake.repositories:
            self._answer(409, {"error": "You already created this model repo", "url": url})
            return
        self.server.fake.repositories[repository] = {**asked, "commits": []}
        self._answer(200, {"url": url, "name": repository, "id": "1"})

    def _mode(self, path: str) -> dict[str, Any]:
        known = self.server.fake.files(self._repository()).get(path)
        mode = "lfs" if path.endswith((".safetensors", ".gguf")) else "regular"
        oid = None if known is None else hashlib.sha256(known).hexdigest()
        if known is not None and mode == "regular":
            oid = hashlib.sha1(f"blob {len(known)}\0".encode() + known).hexdigest()
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _place(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["oid"] in self.server.fake.large:
            return dict(asked)
        return {**asked, "actions": {"upload": {"href": f"{self.server.fake.url}/large/{asked['oid']}", "header": {}}}}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        repository = self._repository()
        files = dict(self.server.fake.files(repository))
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.fake.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.server.fake.repositories[repository]["commits"].append(files)
        head = self._head(repository)
        url = f"{self.server.fake.url}/{repository}/commit/{head}"
        self._answer(200, {"success": True, "commitOid": head, "commitUrl": url})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", "0")))

    def _answer(self, status: int, told: object) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_hub() -> Iterator[FakeHub]:
    """A hub that answers until the end of the block."""
    fake = FakeHub()
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        fake.server.shutdown()
        thread.join()
        fake.server.server_close()
