"""MLflow's `log_batch` as fast as it goes, for `tests.bench.ingest`; runs in MLflow's own environment.

`python ingest_mlflow.py URI THREADS BATCHES`: prints points a second, in batches of the 1,000 MLflow takes.
"""

import sys
import threading
import time

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

NAMES = (
    "epoch", "train_loss", "learning_rate", "training_speed", "tokens_per_second", "gpu_memory_used", "gradient_norm",
    "batch_time",
)  # fmt: skip
STEPS = 125


def log(client: MlflowClient, run_id: str, batches: int) -> None:
    """All figures of many steps."""
    for batch in range(batches):
        steps = range(batch * STEPS, (batch + 1) * STEPS)
        client.log_batch(
            run_id, [Metric(name, step * 0.37, 1_767_256_200_000, step) for step in steps for name in NAMES]
        )


def main(uri: str, threads: int, batches: int) -> None:
    """One run a thread."""
    client = MlflowClient(uri)
    runs = [client.create_run("0").info.run_id for _ in range(threads)]
    log(client, client.create_run("0").info.run_id, 1)
    workers = [threading.Thread(target=log, args=(client, run_id, batches)) for run_id in runs]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - began
    kept = sum(len(client.get_metric_history(run_id, NAMES[1])) for run_id in runs)
    assert kept == threads * batches * STEPS, "a batch was lost"
    print(threads * batches * STEPS * len(NAMES) / seconds)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
