"""Who has which device: written into each attempt's folder before its processes start."""

import json

from shared.contracts.devices import Device, DeviceKind
from shared.kit.files import write_atomic
from shared.worker.devices.choice import choose, visibility
from shared.worker.devices.gauge import FRESH_S, DeviceGauge
from shared.worker.folder import AttemptFolder, read_json


class Allotment:
    """The worker calls it one call at a time."""

    def __init__(self, gauge: DeviceGauge) -> None:
        self._gauge = gauge
        self._promised: dict[str, list[int]] = {}

    def look(self) -> int:
        """See how free the devices are now; how many there are beside the processor. May take a second."""
        return len(self._gauge.accelerators(FRESH_S))

    def refresh(self) -> None:
        """See how free they are, now and then."""
        self._gauge.accelerators()

    def known(self) -> list[Device]:
        """All devices, as last seen."""
        return self._gauge.known()

    def allot(self, folder: AttemptFolder, wanted: int) -> None:
        """Choose, and write it down; whoever wants none shares one that the next may be promised."""
        chosen = choose(self._gauge.accelerators(), wanted, self._taken())
        if not chosen:
            return
        indices = [device.index for device in chosen]
        write_atomic(folder.devices, json.dumps({"kind": chosen[0].kind, "indices": indices, "promised": wanted > 0}))
        self.recall(folder)

    def recall(self, folder: AttemptFolder) -> None:
        """Take up what an earlier process of this service promised."""
        told = read_json(folder.devices)
        if told is not None and told["promised"]:
            self._promised[folder.attempt_id] = told["indices"]

    def release(self, attempt_id: str) -> None:
        """It has ended."""
        self._promised.pop(attempt_id, None)

    def next_visible(self) -> dict[str, str]:
        """What an engine should see that waits for whoever comes next."""
        chosen = choose(self._gauge.accelerators(), 1, self._taken())
        return visibility(chosen[0].kind, [chosen[0].index]) if chosen else {}

    def _taken(self) -> set[int]:
        return {index for indices in self._promised.values() for index in indices}


def visible_to(folder: AttemptFolder) -> dict[str, str]:
    """The environment that shows an attempt's processes their devices; empty where there was nothing to choose."""
    told = read_json(folder.devices)
    return {} if told is None else visibility(DeviceKind(told["kind"]), told["indices"])
