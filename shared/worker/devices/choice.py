"""Which devices an attempt gets, and how its processes are told; pure."""

from collections.abc import Collection, Mapping, Sequence

from shared.contracts.devices import Device, DeviceKind

NEARLY = 2 << 30
"""Bytes that make no difference: a warm engine that waits holds some of its device already."""
_VARIABLES = {
    DeviceKind.CUDA: ("CUDA_VISIBLE_DEVICES",),
    # What reads only CUDA's variable must not see another one's device.
    DeviceKind.ROCM: ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
    DeviceKind.NPU: ("ASCEND_RT_VISIBLE_DEVICES",),
}


def choose(devices: Sequence[Device], wanted: int, promised: Collection[int] = ()) -> list[Device]:
    """The freest of one kind that were promised to nobody, in the machine's order; of nearly equal ones the first.

    Who wants none shares one: the freest that is promised to nobody, or else of all. Fewer than wanted are there only
    where an operator promises more than can be found; then the answer is empty, and all is left as the operator set it.
    """
    accelerators = [device for device in devices if device.kind is not DeviceKind.CPU]
    free = [device for device in accelerators if device.index not in promised]
    if not wanted:
        return _freest(free or accelerators, 1)
    kinds = sorted({device.kind for device in free})
    groups = [[device for device in free if device.kind is kind] for kind in kinds]
    largest = max(groups, key=len, default=[])
    return _freest(largest, wanted) if len(largest) >= wanted else []


def _freest(devices: Sequence[Device], count: int) -> list[Device]:
    left, chosen = list(devices), list[Device]()
    while left and len(chosen) < count:
        best = max(device.free_bytes for device in left)
        taken = min((one for one in left if one.free_bytes >= best - NEARLY), key=lambda one: one.index)
        chosen.append(taken)
        left.remove(taken)
    return sorted(chosen, key=lambda device: device.index)


def visibility(kind: DeviceKind, indices: Sequence[int]) -> dict[str, str]:
    """The environment in which a process sees these devices and no other; empty for kinds that have no such thing."""
    told = dict.fromkeys(_VARIABLES.get(kind, ()), ",".join(map(str, indices)))
    # CUDA would number by speed otherwise, not as the driver does.
    return {**told, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if kind is DeviceKind.CUDA else told


def within(devices: Sequence[Device], uuids: Sequence[str], allowed: str | None) -> list[Device] | None:
    """Those that the operator's own `CUDA_VISIBLE_DEVICES` leaves, in its order; None when it names what is not known.

    `uuids` are the devices', in their order.
    """
    if allowed is None:
        return list(devices)
    by_number = {str(device.index): device for device in devices}
    found = []
    for name in (part.strip() for part in allowed.split(",") if part.strip()):
        if name == "-1":
            break
        known = by_number.get(name) or _by_uuid(devices, uuids, name)
        if known is None:
            return None
        found.append(known)
    return found


def _by_uuid(devices: Sequence[Device], uuids: Sequence[str], name: str) -> Device | None:
    matches = [device for device, uuid in zip(devices, uuids, strict=True) if uuid.startswith(name)]
    return matches[0] if len(matches) == 1 and name.startswith("GPU-") else None


def first_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment, in which one CUDA device at most is seen."""
    seen = environment.get("CUDA_VISIBLE_DEVICES")
    return dict(environment) if seen is None else {**environment, "CUDA_VISIBLE_DEVICES": seen.partition(",")[0]}
