"""One attempt at an export job of operation `hub`: a version's own files as a commit of a model hub's repository."""

import shutil
from pathlib import Path

from services.training.cards import ADAPTER, CARD, MODEL, export_card, write_card
from services.training.export.hub import HubAway, HubRefused, push
from services.training.merge import tell
from services.training.publish import stage_files
from services.training.settings import EngineSettings
from shared.contracts.base import JsonObject
from shared.contracts.exports import ExportSpec
from shared.contracts.failures import Reason
from shared.kit.targets import Hub, parse_hubs
from shared.worker.attempt import Attempt, EngineFault, Result, UserFault


def run_push_hub(attempt: Attempt) -> Result:
    """Stage what the version is made of, with a card, and push it."""
    spec = ExportSpec.model_validate(attempt.spec.spec)
    hub, token = _destination(spec)
    name = spec.output_name or attempt.spec.models["base"].name
    try:
        tell(attempt, 0, 2, "reading the model")
        folder = _staged(attempt, spec, name)
        sizes = [path.stat().st_size for path in folder.iterdir()]
        tell(attempt, 1, 2, f"sending to {spec.target}")
        commit = _pushed(hub, token, name, folder, spec)
    finally:
        shutil.rmtree(attempt.scratch, ignore_errors=True)
    tell(attempt, 2, 2, "sent")
    made: JsonObject = {"target": spec.target, "repository": f"{hub.namespace}/{name}", "commit": commit}
    return Result(result={"hub": made, "metrics": {"bytes": sum(sizes), "files": len(sizes)}})


def _destination(spec: ExportSpec) -> tuple[Hub, str]:
    """Where to, and the token for it; neither is in the job's spec."""
    settings = EngineSettings()
    hubs = parse_hubs(settings.hub_targets)
    if spec.target not in hubs:
        known = ", ".join(sorted(hubs)) or "none"
        raise UserFault(
            Reason.OPTION_UNSUPPORTED, f"target {spec.target} is not configured on this worker; configured: {known}"
        )
    try:
        token = (Path(settings.hub_tokens) / spec.target).read_text().strip()
    except OSError:
        token = ""
    if not settings.hub_tokens or not token:
        raise UserFault(
            Reason.OPTION_UNSUPPORTED,
            f"the operator gave no token for target {spec.target}: IMTS_HUB_TOKENS is to name a folder with a file of "
            "the target's name, and the token in it",
        )
    return hubs[spec.target], token


def _staged(attempt: Attempt, spec: ExportSpec, name: str) -> Path:
    """An adapter goes as an adapter, a model whole: what is to be merged is merged first, as a version."""
    model = attempt.spec.models["base"]
    folder = attempt.scratch / "hub"
    stage_files(attempt.store.materialise(model.adapter or model.base), folder, ("*",))
    # A link to the store's own file: written through, it would change every version that has this card.
    (folder / CARD).unlink(missing_ok=True)
    write_card(folder, export_card(attempt, spec, name, ADAPTER if model.adapter else MODEL))
    return folder


def _pushed(hub: Hub, token: str, name: str, folder: Path, spec: ExportSpec) -> str:
    try:
        return push(hub, token, name, folder, f"{spec.model_name} from IMTS", is_private=spec.private)
    except HubAway as fault:
        raise EngineFault(Reason.NETWORK_FAILED, f"the hub {spec.target}: {fault}") from None
    except HubRefused as fault:
        raise UserFault(Reason.TARGET_REFUSED, f"the hub {spec.target} refused: {fault}") from None
