"""Finds the machine's devices: drivers' own tools and files are asked, none of which takes memory on a device."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

from pydantic import TypeAdapter

from shared.contracts.devices import Device, DeviceKind
from shared.kit.logs import logger
from shared.worker.devices.choice import within
from shared.worker.machine import count_gpus, memory_bytes

_PATIENCE_S = 20.0
_MIB = 1 << 20
_NVIDIA = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total,memory.free", "--format=csv,noheader,nounits")
_WITH_TORCH = (sys.executable, "-m", "shared.generation.torch_devices")
_DEVICES = TypeAdapter(list[Device])


def accelerators(environment: Mapping[str, str], root: Path = Path("/")) -> list[Device]:
    """All but the processor; an operator's `CUDA_VISIBLE_DEVICES` holds for what is found. Takes a second at times."""
    if count := count_gpus(root / "dev"):
        return _nvidia(environment, count)
    if (root / "dev" / "kfd").exists():
        return amd(root / "sys/class/drm")
    if sys.platform == "darwin" or find_spec("torch_npu") is not None:
        return _DEVICES.validate_json(_said(_WITH_TORCH) or "[]")
    return []


def processor(root: Path = Path("/proc")) -> Device:
    """The processor, with the machine's memory, or the container's."""
    total = memory_bytes()
    facts = _fields(root / "meminfo")
    available = int(facts["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in facts else total
    name = _fields(root / "cpuinfo").get("model name", "processor")
    return Device(
        kind=DeviceKind.CPU, index=0, name=f"{name} ({os.cpu_count()} cores)", total_bytes=total,
        free_bytes=min(available, total),
    )  # fmt: skip


def _nvidia(environment: Mapping[str, str], count: int) -> list[Device]:
    told = _said(_NVIDIA)
    if told is None:
        # Without the driver's tool they are known by number alone.
        return [Device(kind=DeviceKind.CUDA, index=n, name="GPU", total_bytes=0, free_bytes=0) for n in range(count)]
    devices, uuids = nvidia(told)
    left = within(devices, uuids, environment.get("CUDA_VISIBLE_DEVICES"))
    if left is None:
        logger.warning("CUDA_VISIBLE_DEVICES names devices that nvidia-smi does not list: it is left as it is")
    return left or []


def nvidia(told: str) -> tuple[list[Device], list[str]]:
    """What `nvidia-smi` lists, and the devices' UUIDs; memory that it does not tell counts as 0."""
    rows = [[field.strip() for field in row] for row in csv.reader(StringIO(told)) if len(row) == 5]
    devices = [
        Device(
            kind=DeviceKind.CUDA, index=int(index), name=name, total_bytes=_mib(total), free_bytes=_mib(free),
        )
        for index, _, name, total, free in rows
    ]  # fmt: skip
    return devices, [row[1] for row in rows]


def _mib(text: str) -> int:
    return int(text) * _MIB if text.isdigit() else 0


def amd(cards: Path) -> list[Device]:
    """What the kernel tells of AMD's GPUs, which ROCm numbers in the order of their cards."""
    found = []
    folders = sorted(cards.glob("card[0-9]*/device/mem_info_vram_total"), key=lambda path: _number(path.parts[-3]))
    for index, path in enumerate(folders):
        total = int(path.read_text())
        used = int((path.parent / "mem_info_vram_used").read_text())
        product = path.parent / "product_name"
        name = (product.read_text().strip() if product.exists() else "") or "AMD GPU"
        found.append(
            Device(kind=DeviceKind.ROCM, index=index, name=name, total_bytes=total, free_bytes=max(total - used, 0))
        )
    return found


def _number(card: str) -> int:
    return int(card.removeprefix("card"))


def _said(command: Iterable[str]) -> str | None:
    """What a tool prints; None when it is not there, fails or hangs."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError) as fault:
        logger.warning("devices are not told: {}", fault)
        return None
    return done.stdout


def _fields(path: Path) -> dict[str, str]:
    """The first value of each `name: value` line."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found
