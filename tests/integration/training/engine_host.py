"""A process that has imported the training engine and runs the attempts it is told to, one after another."""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

from shared.contracts.work import AttemptSpec
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import Attempt
from shared.worker.engine import run_to_result


def run_one(folder: Path, store: ArtifactStore, module: str) -> None:
    """What the bootstrap of `shared/worker` does for one attempt, without ending the process after it."""
    spec = AttemptSpec.model_validate_json((folder / "spec.json").read_bytes())
    work = folder.parent / "work"
    work.mkdir(exist_ok=True)
    engine = import_module(module)
    result = run_to_result(engine.run, Attempt(spec, folder, work, store))
    (folder / "outcome.json").write_text(result.model_dump_json())


def main() -> None:
    """Answer every line on standard input, a folder, with a line on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module = sys.argv[3]
    import_module(module)
    store = ArtifactStore(sys.argv[1], Path(sys.argv[2]))
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        run_one(Path(json.loads(line)), store, module)
        answers.write("done\n")
        answers.flush()


if __name__ == "__main__":
    main()
