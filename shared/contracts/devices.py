"""What a worker's machine computes with."""

from enum import StrEnum

from shared.contracts.base import Contract, Int, WireModel


class DeviceKind(StrEnum):
    """By whose interface it is spoken to."""

    CUDA = "cuda"
    ROCM = "rocm"
    NPU = "npu"
    MPS = "mps"
    CPU = "cpu"


class Device(WireModel):
    """One device, as its worker's machine numbers it."""

    kind: DeviceKind
    index: Int
    name: str
    total_bytes: Int
    """Of its memory; 0 where nothing on the machine tells."""
    free_bytes: Int


class DeviceView(Contract):
    """One device of a worker, for users."""

    kind: DeviceKind
    index: Int
    name: str
    total_bytes: Int
    free_bytes: Int

    @classmethod
    def of(cls, device: Device) -> "DeviceView":
        """The same, told to users."""
        return cls(**device.model_dump())
