"""When calls to a silent peer are held back, and when they are not."""

from shared.kit.circuit import Circuit


class Watch:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened() -> tuple[Circuit, Watch]:
    watch = Watch()
    circuit = Circuit(watch)
    for _ in range(5):
        assert circuit.admits()
        circuit.failed()
    assert circuit.is_open
    return circuit, watch


def test_a_few_faults_hold_nothing_back_and_an_answer_forgives_them() -> None:
    circuit = Circuit(Watch())
    for _ in range(3):
        for _ in range(4):
            circuit.failed()
        assert (circuit.is_open, circuit.admits()) == (False, True)
        circuit.answered()
        assert circuit.silent_for_s is None


def test_an_open_circuit_lets_one_call_a_second_through() -> None:
    circuit, watch = opened()
    sent = 0
    for _ in range(80):
        watch.now += 0.125
        sent += circuit.admits()
    assert sent == 10


def test_silence_is_counted_from_the_first_fault() -> None:
    circuit, watch = opened()
    watch.now += 7
    assert circuit.silent_for_s == 7


def test_one_answer_closes_it() -> None:
    circuit, watch = opened()
    watch.now += 1
    assert circuit.admits()
    circuit.answered()
    assert all(circuit.admits() for _ in range(10))
