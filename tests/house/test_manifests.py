"""Kubernetes manifests pass the strict schema, and every container is locked down."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tools.source import ROOT

PATCHES = {"training-gpu.yaml"}
FILES = [
    path
    for path in sorted((ROOT / "k8s").rglob("*.yaml"))
    if path.name != "kustomization.yaml" and path.name not in PATCHES
]
OBJECTS = [
    pytest.param(item, id=f"{path.relative_to(ROOT / 'k8s')}:{item['kind']}/{item['metadata']['name']}")
    for path in FILES
    for item in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]


def _containers(item: dict[str, Any]) -> list[dict[str, Any]]:
    pod = item.get("spec", {}).get("template", {}).get("spec", {})
    return list(pod.get("containers", []))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("item", OBJECTS)
def test_a_manifest_passes_the_strict_schema(item: dict[str, Any]) -> None:
    kubernetes_validate.validate(item, "1.31", strict=True)


@pytest.mark.parametrize("item", OBJECTS)
def test_a_container_has_limits_and_no_privileges(item: dict[str, Any]) -> None:
    for container in _containers(item):
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert "memory" in container["resources"]["limits"]
        assert item["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


def test_every_manifest_of_a_folder_is_listed_in_its_kustomization() -> None:
    for path in (ROOT / "k8s").rglob("kustomization.yaml"):
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))
        named = set(listed["resources"]) | {patch["path"] for patch in listed.get("patches", []) if "path" in patch}
        present = {found.name for found in Path(path.parent).glob("*.yaml")} - {"kustomization.yaml"}
        assert present <= named
