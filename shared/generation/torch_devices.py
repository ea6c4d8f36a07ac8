"""A short process: writes, as JSON, devices that only torch tells of (Apple's and Ascend's)."""

import json
import sys
from importlib.util import find_spec

import torch

from shared.contracts.devices import Device, DeviceKind


def npus() -> list[Device]:
    """Ascend's, where `torch_npu` is installed."""
    if find_spec("torch_npu") is None:
        return []
    __import__("torch_npu")
    found = []
    for index in range(torch.npu.device_count()):
        free, total = torch.npu.mem_get_info(index)
        name = torch.npu.get_device_name(index)
        found.append(Device(kind=DeviceKind.NPU, index=index, name=name, total_bytes=total, free_bytes=free))
    return found


def mps() -> list[Device]:
    """Apple's own, which shares the machine's memory."""
    if not torch.backends.mps.is_available():
        return []
    total = torch.mps.recommended_max_memory()
    free = max(total - torch.mps.driver_allocated_memory(), 0)
    return [Device(kind=DeviceKind.MPS, index=0, name="Apple GPU", total_bytes=total, free_bytes=free)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps([device.model_dump(mode="json") for device in (*npus(), *mps())]))
