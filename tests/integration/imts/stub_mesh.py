"""`imts up` over three stub services: `python -m tests.integration.imts.stub_mesh FOLDER PORT…`."""

import sys
from pathlib import Path

import httpx

from imts.up.commands import Command
from imts.up.faults import CannotStart
from imts.up.folder import DataFolder
from imts.up.lock import held
from imts.up.supervisor import Hooks, Supervisor

STUB = """
import http.server, os, pathlib, signal, sys
folder, name, port = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if (folder / f"{name}.broken").exists():
    sys.exit("this stub is told to break")
def end(*_):
    with (folder / "ends").open("a") as log:
        log.write(f"{name} {'drains' if (folder / name / 'drain').exists() else 'leaves'}\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
RANKS = {"orchestrator": 0, "training": 1, "stream": 2}


def commands(folder: Path, ports: list[int], flavour: str) -> list[Command]:
    """Stubs in place of the real services; another flavour is another setting."""
    return [
        Command(
            name=name, argv=(sys.executable, "-c", STUB, str(folder), name, str(port)),
            environ={"IMTS_FLAVOUR": flavour}, host="127.0.0.1", port=port, stop_rank=rank, has_jobs=name == "training",
        )
        for (name, rank), port in zip(RANKS.items(), ports, strict=True)
    ]  # fmt: skip


def main() -> None:
    """Supervise until signalled; sentences go to stdout."""
    folder, flavour, ports = DataFolder(Path(sys.argv[1])), sys.argv[2], [int(port) for port in sys.argv[3:]]

    def answers(port: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=1).status_code == 200
        except httpx.TransportError:
            return False

    def is_ready() -> bool:
        # All that can: a test may signal any, and a stub that has not come far enough dies without a word.
        broken = {name for name in RANKS if (folder.root / f"{name}.broken").exists()}
        return all(answers(port) for name, port in zip(RANKS, ports, strict=True) if name not in broken)

    def say(sentence: str) -> None:
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()

    folder.make()
    try:
        with held(folder):
            hooks = Hooks(is_ready=is_ready, on_ready=lambda: say("ready"), say=say)
            Supervisor(commands(folder.root, ports, flavour), folder, hooks, grace_s=10).run()
    except CannotStart as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
