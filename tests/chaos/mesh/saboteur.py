"""Does what the seed drew to the processes and connections of its own run, and to nothing else."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.mesh.chaos_mesh import ChaosMesh
from tests.chaos.mesh.faults import ATTEMPTS, CUT, FREEZE, KILL, Fault
from tests.chaos.mesh.living import Living

_SEARCH_S = 15.0
_POLL_S = 0.02


@dataclass
class Saboteur:
    """Strikes a volley of faults and undoes each when its time is over."""

    world: ChaosMesh
    say: Callable[[str], None]
    struck: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    killed_attempts: set[str] = field(default_factory=set)
    _repairs: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def strike(self, volley: list[Fault]) -> None:
        """All of the volley; answers when everything was undone."""
        for fault in volley:
            self._wait_until(time.monotonic() + fault.pause_s)
            is_done = self._strike_one(fault)
            name = f"{fault.verb} {fault.victim}"
            (self.struck if is_done else self.absent)[name] += 1
            self.say(f"{fault}" if is_done else f"{fault}: nobody there")
        self.undo()

    def undo(self) -> None:
        """Undo everything, each when its time is over."""
        while self._repairs:
            self._wait_until(max(at for at, _ in self._repairs))

    def _wait_until(self, moment: float) -> None:
        while True:
            now = time.monotonic()
            due = [repair for repair in self._repairs if repair[0] <= now]
            for repair in due:
                self._repairs.remove(repair)
                repair[1]()
            if now >= moment:
                return
            time.sleep(_POLL_S)

    def _later(self, fault: Fault, repair: Callable[[], None]) -> None:
        self._repairs.append((time.monotonic() + fault.length_s, repair))

    def _strike_one(self, fault: Fault) -> bool:
        if fault.verb == CUT:
            self.world.routes.cut(fault.victim)
            self._later(fault, lambda: self.world.routes.mend(fault.victim))
            return True
        if fault.victim == "database":
            return self._strike_database(fault)
        victim = self._find(fault)
        if victim is None:
            return False
        if fault.verb == FREEZE:
            self._later(fault, lambda: self._thaw(victim))
            return victim.send(signal.SIGSTOP)
        is_killed = victim.send(signal.SIGKILL)
        if is_killed and fault.victim in ATTEMPTS:
            self.killed_attempts.add(victim.attempt_id)
        if is_killed and fault.victim == "up":
            assert self.world.mesh.process is not None
            self.world.mesh.process.wait(10)
            self._later(fault, self.world.mesh.launch)
        return is_killed

    def _thaw(self, victim: Living) -> None:
        victim.send(signal.SIGCONT)

    def _strike_database(self, fault: Fault) -> bool:
        process = self.world.database.process
        if process is None or process.poll() is not None:
            return False
        if fault.verb == KILL:
            # A frozen one dies too; its thaw then finds nobody.
            self.world.database.kill()
            self._later(fault, self.world.database.start)
        else:
            process.send_signal(signal.SIGSTOP)
            self._later(fault, lambda: process.send_signal(signal.SIGCONT))
        return True

    def _find(self, fault: Fault) -> Living | None:
        """One of those that the name fits, waited for a little: services and engines come and go."""
        deadline = time.monotonic() + _SEARCH_S
        while time.monotonic() < deadline:
            found = self.world.processes(fault.victim)
            if found:
                return found[int(fault.place * len(found))]
            self._wait_until(time.monotonic() + _POLL_S)
        return None
