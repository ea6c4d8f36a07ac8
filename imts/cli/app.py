"""The `imts` command: its verbs, and which exit code each fault becomes."""

import sys

import typer

from imts.cli.artifacts import artifacts
from imts.cli.backup import backup, restore
from imts.cli.chat import chat
from imts.cli.control import control
from imts.cli.datasets import datasets
from imts.cli.doctor import doctor
from imts.cli.jobs import clone, delete, jobs, pause, resume, retry, stop
from imts.cli.logs import logs
from imts.cli.models import models
from imts.cli.plan import plan
from imts.cli.submit import analyse, evaluate, export, train
from imts.cli.sweeps import sweep
from imts.cli.tracking import bridge, sync
from imts.cli.up import up
from imts.cli.watch import watch
from imts.cli.webhooks import webhooks
from imts.cli.why import why
from imts.cli.workers import workers
from imts.client.errors import ClientError, ImtsApiError, ServerUnreachable

USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fine-tune language models on your own machines. "
    "Reads IMTS_URL and IMTS_API_KEY; without them it talks to the mesh that `imts up` started. "
    "Exit codes: 0 done, 1 the job did not succeed, 2 wrong usage, 3 the server does not answer.",
)
for command in (
    up,
    train,
    plan,
    analyse,
    evaluate,
    export,
    jobs,
    watch,
    why,
    stop,
    pause,
    resume,
    control,
    retry,
    clone,
    delete,
    chat,
    logs,
    artifacts,
    sync,
    backup,
    restore,
    doctor,
):
    app.command()(command)
app.add_typer(datasets, name="datasets")
app.add_typer(models, name="models")
app.add_typer(sweep, name="sweep")
app.add_typer(bridge, name="bridge")
app.add_typer(workers, name="workers")
app.add_typer(webhooks, name="webhooks")


def exit_code_of(fault: ClientError) -> int:
    """2 when the caller must change something, 3 when the server must."""
    is_servers_own = isinstance(fault, ImtsApiError) and fault.status >= 500
    return UNREACHABLE if is_servers_own or isinstance(fault, ServerUnreachable) else USAGE


def main() -> None:
    """Run the command line; never shows a traceback for a fault that a person can act on."""
    try:
        app()
    except ClientError as fault:
        field = f" ({fault.param})" if isinstance(fault, ImtsApiError) and fault.param else ""
        print(f"imts: {fault}{field}", file=sys.stderr)
        sys.exit(exit_code_of(fault))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more while flushing at exit.
        sys.stdout = None
        sys.exit(0)
