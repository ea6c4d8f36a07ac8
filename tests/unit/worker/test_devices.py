"""Devices are found without torch, and the freest are chosen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.contracts.devices import Device, DeviceKind
from shared.worker.devices.choice import NEARLY, choose, first_of, visibility, within
from shared.worker.devices.discovery import accelerators, amd, nvidia, processor
from shared.worker.devices.gauge import OLD_S, DeviceGauge
from tests.fakes.clock import FakeClock

GIB = 1 << 30


def device(index: int, free_gib: float, kind: DeviceKind = DeviceKind.CUDA) -> Device:
    return Device(kind=kind, index=index, name="GPU", total_bytes=80 * GIB, free_bytes=int(free_gib * GIB))


def chosen(free: list[float], wanted: int, promised: set[int] | None = None) -> list[int]:
    devices = [processor(), *(device(index, gib) for index, gib in enumerate(free))]
    return [one.index for one in choose(devices, wanted, promised or set())]


@pytest.mark.parametrize(
    ("free", "wanted", "promised", "expected"),
    [
        ([10, 70, 40, 60], 1, set(), [1]),
        ([10, 70, 40, 60], 2, set(), [1, 3]),
        ([10, 70, 40, 60], 2, {1}, [2, 3]),
        ([10, 70, 40, 60], 4, set(), [0, 1, 2, 3]),
        ([10, 70], 2, {0}, []),
        ([10, 70], 0, {1}, [0]),
        ([10, 70], 0, {0, 1}, [1]),
        ([79.5, 80, 80], 1, set(), [0]),
        ([0, 0, 0], 2, set(), [0, 1]),
        ([], 0, set(), []),
        ([], 1, set(), []),
    ],
)
def test_the_freest_that_nobody_was_promised_are_chosen(
    free: list[float], wanted: int, promised: set[int], expected: list[int]
) -> None:
    assert chosen(free, wanted, promised) == expected


def test_a_warm_engine_s_own_memory_does_not_drive_a_job_off_its_device() -> None:
    nearly, hardly = 80 - NEARLY / GIB, 80 - NEARLY / GIB - 1
    assert chosen([nearly, 80], 1) == [0]
    assert chosen([hardly, 80], 1) == [1]


def test_devices_of_two_kinds_are_never_given_together() -> None:
    mixed = [device(0, 80), device(0, 70, DeviceKind.NPU), device(1, 60, DeviceKind.NPU)]
    assert {one.kind for one in choose(mixed, 2)} == {DeviceKind.NPU}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (DeviceKind.CUDA, {"CUDA_VISIBLE_DEVICES": "0,3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}),
        (DeviceKind.ROCM, {"HIP_VISIBLE_DEVICES": "0,3", "CUDA_VISIBLE_DEVICES": "0,3"}),
        (DeviceKind.NPU, {"ASCEND_RT_VISIBLE_DEVICES": "0,3"}),
        (DeviceKind.MPS, {}),
        (DeviceKind.CPU, {}),
    ],
)
def test_each_kind_has_its_own_variable(kind: DeviceKind, expected: dict[str, str]) -> None:
    assert visibility(kind, [0, 3]) == expected


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (None, [0, 1, 2]), ("2,0", [2, 0]), ("", []), ("-1", []), ("1,-1,2", [1]), ("GPU-bb", [1]), ("GPU-", None),
        ("7", None), ("MIG-1234", None),
    ],
)  # fmt: skip
def test_an_operator_s_own_choice_holds_or_is_left_alone(allowed: str | None, expected: list[int] | None) -> None:
    devices = [device(index, 80) for index in range(3)]
    left = within(devices, ["GPU-aa11", "GPU-bb22", "GPU-cc33"], allowed)
    assert (None if left is None else [one.index for one in left]) == expected


def test_a_plan_s_process_sees_one_device_at_most() -> None:
    assert first_of({"CUDA_VISIBLE_DEVICES": "2,3", "A": "b"}) == {"CUDA_VISIBLE_DEVICES": "2", "A": "b"}
    assert first_of({"A": "b"}) == {"A": "b"}


def test_nvidia_smi_s_table_is_read_also_where_memory_is_not_told() -> None:
    told = "0, GPU-aa, NVIDIA H200, 143771, 143000\n1, GPU-bb, NVIDIA A, Inc, 1, 2\n2, GPU-cc, Orin, [N/A], [N/A]\n"
    devices, uuids = nvidia(told)
    assert [(one.index, one.name, one.total_bytes >> 20, one.free_bytes >> 20) for one in devices] == [
        (0, "NVIDIA H200", 143771, 143000), (2, "Orin", 0, 0),
    ]  # fmt: skip
    assert uuids == ["GPU-aa", "GPU-cc"]


def _machine(root: Path, nvidia_smi: str | None, monkeypatch: pytest.MonkeyPatch) -> Path:
    (root / "dev").mkdir()
    for number in range(2):
        (root / "dev" / f"nvidia{number}").touch()
    tools = root / "bin"
    tools.mkdir()
    if nvidia_smi is not None:
        (tools / "nvidia-smi").write_text(f"#!/bin/sh\n{nvidia_smi}\n")
        (tools / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return root


def test_the_driver_s_tool_is_asked_and_the_operator_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "echo '0, GPU-aa, H200, 1000, 900'\necho '1, GPU-bb, H200, 1000, 800'"
    root = _machine(tmp_path, lines, monkeypatch)
    assert [one.free_bytes >> 20 for one in accelerators({}, root)] == [900, 800]
    assert [one.index for one in accelerators({"CUDA_VISIBLE_DEVICES": "1"}, root)] == [1]
    assert accelerators({"CUDA_VISIBLE_DEVICES": "MIG-7"}, root) == []


@pytest.mark.parametrize("nvidia_smi", [None, "exit 9"])
def test_without_the_driver_s_tool_gpus_are_known_by_number(
    nvidia_smi: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = accelerators({}, _machine(tmp_path, nvidia_smi, monkeypatch))
    assert [(one.index, one.total_bytes) for one in found] == [(0, 0), (1, 0)]


def test_the_kernel_tells_of_amd_s_gpus_in_the_order_of_their_cards(tmp_path: Path) -> None:
    for card, used in (("card10", 5), ("card2", 3)):
        folder = tmp_path / "sys/class/drm" / card / "device"
        folder.mkdir(parents=True)
        (folder / "mem_info_vram_total").write_text(f"{100 * GIB}\n")
        (folder / "mem_info_vram_used").write_text(f"{used * GIB}\n")
    (tmp_path / "sys/class/drm/card2/device/product_name").write_text("MI300X\n")
    (tmp_path / "dev").mkdir()
    assert accelerators({}, tmp_path) == []
    (tmp_path / "dev/kfd").touch()
    found = accelerators({}, tmp_path)
    assert found == amd(tmp_path / "sys/class/drm")
    assert [(one.index, one.name, one.free_bytes // GIB) for one in found] == [(0, "MI300X", 97), (1, "AMD GPU", 95)]
    assert {one.kind for one in found} == {DeviceKind.ROCM}


def test_the_processor_is_a_device_with_the_machine_s_memory() -> None:
    found = processor()
    assert found.kind is DeviceKind.CPU
    assert 0 < found.free_bytes <= found.total_bytes
    assert f"({os.cpu_count()} cores)" in found.name


def test_what_only_torch_knows_is_asked_in_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shared.generation.torch_devices"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]"


def test_devices_are_looked_at_again_when_that_is_old_and_never_where_there_were_none() -> None:
    clock, looks = FakeClock(), list[int]()

    def look() -> list[Device]:
        looks.append(1)
        return [device(0, 80 - len(looks))]

    gauge = DeviceGauge(clock, look)
    assert gauge.accelerators()[0].free_bytes == 79 * GIB
    clock.advance(OLD_S + 1)
    assert gauge.known()[0].free_bytes == 79 * GIB, "known devices are told without waiting"
    assert gauge.accelerators()[0].free_bytes == 78 * GIB
    nowhere = DeviceGauge(clock, list)
    clock.advance(OLD_S + 1)
    assert nowhere.accelerators() == []
    assert [one.kind for one in nowhere.known()] == [DeviceKind.CPU]
