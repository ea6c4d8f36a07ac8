"""`imts webhooks`: who is told of jobs over HTTP."""

import time
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.output import AsJson, print_json, print_json_object, print_table, shown
from shared.contracts.webhooks import DeliveryStatus, WebhookView

webhooks = typer.Typer(no_args_is_help=True, help="Add, list, test or delete webhooks; admins only.")
Id = Annotated[str, typer.Argument(metavar="WEBHOOK", help="A webhook's id, as `imts webhooks list` tells it.")]
_ENDS = ["job.succeeded", "job.failed", "job.stopped"]
_FIRST_TRY_S = 20.0
"""Longer than the server waits for an answer unless told."""


def _standing(webhook: WebhookView) -> str:
    if not webhook.enabled:
        return f"disabled: {webhook.disabled_because}" if webhook.disabled_because else "disabled"
    return f"failing since {shown(webhook.failing_since)}" if webhook.failing_since else "well"


@webhooks.command()
def add(
    url: Annotated[str, typer.Argument(help="Where messages are sent.")],
    event: Annotated[list[str] | None, typer.Option(help="What to tell; the ends of jobs if absent.")] = None,
    project: Annotated[str | None, typer.Option(help="Only of this project's jobs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell a receiver of jobs from now on; the secret that signs messages is shown this once."""
    with connect() as client:
        made = client.webhooks.add(url, event or _ENDS, project=project)
    if as_json:
        print_json(made)
    else:
        print(f"{made.webhook_id} tells {made.url} of {', '.join(made.events)}")
        print(f"secret, shown this once: {made.secret}")


@webhooks.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List every webhook, and how it does."""
    with connect() as client:
        found = client.webhooks.list()
    if as_json:
        print_json(found)
        return
    rows = [(one.webhook_id, one.url, ", ".join(one.events), one.project, _standing(one)) for one in found.data]
    print_table(("webhook", "url", "events", "project", "standing"), rows)


@webhooks.command()
def deliveries(
    webhook: Id,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only these.")] = None,
    limit: int = 50,
    as_json: AsJson = False,
) -> None:
    """List its messages, newest first, and what became of them."""
    with connect() as client:
        page = client.webhooks.deliveries(webhook, status=status, limit=limit)
    if as_json:
        print_json(page)
        return
    rows = [
        (one.delivery_id, one.event_type, one.job_id, one.status, one.attempts, one.last_error, shown(one.next_try_at))
        for one in page.data
    ]
    print_table(("message", "event", "job", "status", "tries", "last fault", "next try"), rows)


@webhooks.command("test")
def send_ping(webhook: Id, as_json: AsJson = False) -> None:
    """Send a ping and wait for the first answer; exit code 1 when it was not taken."""
    with connect() as client:
        sent = client.webhooks.test(webhook)
        deadline = time.monotonic() + _FIRST_TRY_S
        while not sent.attempts and time.monotonic() < deadline:
            time.sleep(0.1)
            sent = client.webhooks.delivery(webhook, sent.delivery_id)
    if as_json:
        print_json(sent)
    elif sent.status is DeliveryStatus.DELIVERED:
        print(f"{webhook} took the ping: HTTP {sent.last_status}")
    else:
        typer.echo(f"{webhook} did not take the ping: {sent.last_error or 'nothing was sent yet'}", err=True)
    if sent.status is not DeliveryStatus.DELIVERED:
        raise typer.Exit(1)


@webhooks.command()
def redeliver(webhook: Id, message: Annotated[str, typer.Argument(metavar="MESSAGE")], as_json: AsJson = False) -> None:
    """Send a message again, under its own id."""
    with connect() as client:
        sent = client.webhooks.redeliver(webhook, message)
    if as_json:
        print_json(sent)
    else:
        print(f"{sent.delivery_id} is sent again")


@webhooks.command()
def rotate(webhook: Id, as_json: AsJson = False) -> None:
    """Make a new secret; the old one signs beside it for a day."""
    with connect() as client:
        made = client.webhooks.rotate(webhook)
    if as_json:
        print_json(made)
    else:
        print(f"secret, shown this once: {made.secret}")


@webhooks.command()
def delete(webhook: Id, as_json: AsJson = False) -> None:
    """Delete it with its messages, sent or not."""
    with connect() as client:
        client.webhooks.delete(webhook)
    if as_json:
        print_json_object({"deleted": webhook})
    else:
        print(f"{webhook} is deleted")
