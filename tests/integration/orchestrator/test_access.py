"""Keys are kept as hashes; services ask who holds one; a replaced key stops working."""

from pathlib import Path

from orchestrator.operations.keys import preset_key
from shared.kit.auth import hash_key
from tests.integration.orchestrator.registry import KEY, problem_of, running_registry


def test_a_service_learns_who_holds_a_key_and_a_person_does_not(database_url: str, tmp_path: Path) -> None:
    with running_registry(database_url, tmp_path) as registry:
        known = registry.service.get(f"/internal/keys/{hash_key(KEY)}")
        assert known.json() == {"name": "admin", "is_admin": True}
        assert problem_of(registry.service.get(f"/internal/keys/{hash_key('other')}"), 404)["code"] == "key_not_found"
        assert problem_of(registry.user.get(f"/internal/keys/{hash_key(KEY)}"), 403)["code"] == "forbidden"
        assert problem_of(registry.service.get(f"/internal/keys/{KEY}"), 422)["param"] == "key_hash"


def test_a_new_preset_key_replaces_the_old_one(database_url: str, tmp_path: Path) -> None:
    with running_registry(database_url, tmp_path, key="imts-first") as registry:
        assert registry.user.get("/api/datasets").status_code == 200
    with running_registry(database_url, tmp_path, key="imts-second") as registry:
        assert registry.user.get("/api/datasets").status_code == 200
        old = {"authorization": "Bearer imts-first"}
        assert registry.user.get("/api/datasets", headers=old).status_code == 401
        preset_key(registry.wiring.units, "imts-second")
        preset_key(registry.wiring.units, "")
        assert registry.user.get("/api/datasets").status_code == 200
    with running_registry(database_url, tmp_path, key="imts-first") as registry:
        assert registry.user.get("/api/datasets").status_code == 200


def test_the_system_view_shows_silent_services(tmp_path: Path) -> None:
    with running_registry("", tmp_path) as registry:
        view = registry.user.get("/api/system").json()
        states = {service["name"]: service["isReady"] for service in view["services"]}
        assert states == {
            "orchestrator": True, "training": False, "analyzer": False, "evaluator": False, "stream": False,
        }  # fmt: skip
