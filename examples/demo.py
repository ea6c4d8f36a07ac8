"""`make demo`: analyse real data, fine-tune a real model with LLaMA-Factory, and show that it got better.

Everything goes through the public API, with the client that the command line uses.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from examples.arithmetic.generate import generate
from examples.demo_mesh import DemoFailed, running_mesh
from examples.demo_report import Findings
from imts.cli.live import follow
from imts.client import Client, ClientError
from shared.contracts.jobs import JobView, Phase
from shared.contracts.models import ModelView

SEEDS = {"data": 7, "model": 7, "training": 42, "evaluation": 42}
BASE, TUNED = "demo-base", "demo-tuned"
CUTOFF = 128
TRAINING = {
    "stage": "sft", "finetuningType": "full", "batchSize": 16, "learningRate": 3e-3, "epochs": 12, "warmupRatio": 0.05,
    "loggingSteps": 10, "cutoffLen": CUTOFF,
}  # fmt: skip


class Demo:
    """The story, chapter by chapter."""

    def __init__(self, folder: Path, client: Client, console: Console) -> None:
        self._folder = folder
        self._client = client
        self._console = console
        self.findings = Findings(seeds=SEEDS)

    @contextmanager
    def _chapter(self, key: str, title: str) -> Iterator[None]:
        self._console.print(f"\n{title}", style="bold")
        started = time.monotonic()
        yield
        self.findings.timings_s[key] = round(time.monotonic() - started, 2)

    def tell(self) -> Findings:
        """Run everything in order."""
        with self._chapter("data", "1. Real data: sums, weekdays and units, in English and Chinese"):
            self._add_data()
        with self._chapter("base_model", "2. A small base model that knows the words, but no answers"):
            self._require_base()
        with self._chapter("analysis", "3. Analysis"):
            self._analyse()
        with self._chapter("training", "4. Fine-tuning"):
            self._train()
        with self._chapter("evaluation", "5. Evaluation on questions that neither model has seen"):
            self._evaluate()
        self._keep_paths()
        return self.findings

    def _say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def _finish(self, key: str, job: JobView) -> JobView:
        """Follow a job live; the demo ends here unless it succeeds."""
        self.findings.jobs[key] = job.job_id
        follow(self._client.watch(job.job_id), key, self._console)
        done = self._client.wait(job.job_id, within_s=60)
        if done.status is not Phase.SUCCEEDED:
            log = self._client.jobs.logs(job.job_id).text[-3000:]
            raise DemoFailed(f"{key} {job.job_id} {done.status}: {done.why}\n{log}")
        return done

    def _add_data(self) -> None:
        for split, file in generate(self._folder / "examples", SEEDS["data"]).items():
            added = self._client.datasets.add(file, f"demo-{split}")
            self.findings.datasets[split] = {"dataset_id": added.dataset_id, "rows": added.rows, "sha256": added.sha256}
            self._say(f"{added.name}@{added.version}: {added.rows} rows, {added.format}")

    def _base_from_earlier(self, spec: dict[str, object]) -> ModelView | None:
        """The base model of an earlier run, if it was made of the same data in the same way."""
        for model in self._client.models.list().data:
            if model.name == BASE and model.job_id:
                made = self._client.jobs.get(model.job_id)
                return model if all(made.spec.get(key) == value for key, value in spec.items()) else None
        return None

    def _require_base(self) -> None:
        spec: dict[str, object] = {
            "fromDataset": self._client.datasets.get("demo-train").dataset_id,
            "seed": SEEDS["model"],
        }
        model = self._base_from_earlier(spec)
        if model is None:
            job = self._client.models.make_tiny(BASE, str(spec["fromDataset"]), seed=SEEDS["model"])
            self._finish("base_model", job)
            model = self._client.models.get(BASE)
        else:
            self._say("kept from an earlier run")
        self.findings.base["model"] = f"{model.name}@{model.version}"
        self.findings.base["parameters"] = model.parameters
        self._say(f"{model.name}@{model.version}: {model.parameters:,} parameters" if model.parameters else model.name)

    def _analyse(self) -> None:
        job = self._client.jobs.analyse(
            dataset="demo-train", testDataset="demo-test", modelName=self.findings.base["model"], cutoffLen=CUTOFF
        )
        done = self._finish("analysis", job)
        self.findings.analysis = {"health_score": done.result["healthScore"], "job_id": done.job_id}
        self._say(f"health of the data: {done.result['healthScore']} of 100")

    def _train(self) -> None:
        job = self._client.jobs.train(
            TRAINING, modelName=self.findings.base["model"], dataset="demo-train", outputName=TUNED,
            seed=SEEDS["training"],
        )  # fmt: skip
        done = self._finish("training", job)
        model = done.result["model"]
        assert isinstance(model, dict)
        newest = next(item for item in self._client.models.list().data if item.job_id == done.job_id)
        self.findings.tuned["model"] = f"{newest.name}@{newest.version}"
        self.findings.training = {"job_id": done.job_id, "spec": done.spec, "metrics": done.metrics}

    def _evaluate(self) -> None:
        job = self._client.jobs.evaluate(
            dataset="demo-test", modelName=self.findings.tuned["model"], baselineModel=self.findings.base["model"],
            maxNewTokens=12, batchSize=64, seed=SEEDS["evaluation"],
        )  # fmt: skip
        done = self._finish("evaluation", job)
        before, after = done.result["baseline"], done.result["model"]
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        self.findings.base |= before
        self.findings.tuned |= after

    def _keep(self, key: str, artifact: str, target: Path) -> None:
        found = self._client.jobs.artifacts(self.findings.jobs[key]).data
        wanted = next(item for item in found if item.name == artifact)
        if target.is_dir():
            shutil.rmtree(target)
        target.parent.mkdir(exist_ok=True)
        self._client.jobs.download(self.findings.jobs[key], wanted, target)
        self.findings.paths[target.stem.replace("-", "_")] = str(target)

    def _keep_paths(self) -> None:
        results = self._folder / "results"
        self._keep("analysis", "report.json", results / "analysis-report.json")
        self._keep("evaluation", "report.json", results / "evaluation-report.json")
        self._keep("training", "model", results / "tuned-model")
        self.findings.paths["logs"] = str(self._folder / "logs")


def main() -> int:
    """Run the demo; 0 only when the model really got better."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path("demo-data"), help="kept between runs")
    folder = parser.parse_args().data_dir.absolute()
    console = Console()
    started = time.monotonic()
    try:
        console.print("starting five services on this machine …")
        with running_mesh(folder) as client:
            findings = Demo(folder, client, console).tell()
        findings.timings_s["total"] = round(time.monotonic() - started, 2)
        report = folder / "demo-report.json"
        findings.paths["demo_report"] = str(report)
        findings.write(report)
        console.print()
        findings.show(console)
        if why := findings.missing_gain():
            raise DemoFailed(why)
    except (DemoFailed, ClientError, TimeoutError) as fault:
        print(f"demo: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    console.print(f"\ndone in {findings.timings_s['total']:g} s; everything is stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
