"""The circuits of one process, for as long as Redis is away: the same rules, line by line."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from monitoring.circuits import (
    COOL_DOWN_SECONDS,
    FAILURES_TO_OPEN,
    PLATFORM,
    PROBE_POLL_SECONDS,
    PROBE_SECONDS,
    WINDOW_SECONDS,
    CircuitReport,
    CircuitState,
    Clock,
    Level,
    Ruling,
    Transition,
    is_well,
    next_probe,
)  # fmt: skip


@dataclass
class _Circuit:
    state: CircuitState = CircuitState.CLOSED
    failures: dict[str, float] = field(default_factory=dict)
    opened_at: float = 0.0
    failing_since: float = 0.0
    token: str = ""
    probe_until: float = 0.0


class CircuitsInMemory:
    """Safe between threads."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._circuits: dict[tuple[str, str | None], _Circuit] = {}

    def _both(self, service: str, clinic: str, subject: str = "") -> list[tuple[Level, _Circuit, str]]:
        return [
            (Level.SERVICE, self._circuits.setdefault((service, None), _Circuit()), clinic),
            (Level.CLINIC, self._circuits.setdefault((service, clinic), _Circuit()), subject),
        ]

    def ask(self, service: str, clinic: str, token: str) -> Ruling:
        with self._lock:
            now = self._clock()
            both = self._both(service, clinic)
            retry_after = max(_wait(circuit, now) for _, circuit, _ in both)
            if retry_after > 0:
                return Ruling(allowed=False, retry_after=retry_after)
            doubtful = any(circuit.state != CircuitState.CLOSED or circuit.failures for _, circuit, _ in both)
            made = []
            probes = any(circuit.state != CircuitState.CLOSED for _, circuit, _ in both)
            for level, circuit, _ in both:
                if circuit.state == CircuitState.CLOSED:
                    continue
                if circuit.state == CircuitState.OPEN:
                    circuit.state = CircuitState.HALF_OPEN
                    made.append(Transition(level, CircuitState.HALF_OPEN))
                circuit.token, circuit.probe_until = token, now + PROBE_SECONDS
            return Ruling(doubtful=doubtful, transitions=tuple(made), probes=probes)

    def succeeded(self, service: str, clinic: str, token: str) -> Ruling:
        with self._lock:
            made = []
            for level, circuit, _ in self._both(service, clinic):
                if _probing(circuit, token):
                    circuit.state = CircuitState.CLOSED
                    made.append(Transition(level, CircuitState.CLOSED))
                if circuit.state == CircuitState.CLOSED:
                    circuit.failures.clear()
            return Ruling(transitions=tuple(made))

    def failed(self, service: str, clinic: str, token: str, subject: str) -> Ruling:
        with self._lock:
            now, made = self._clock(), []
            for level, circuit, who in self._both(service, clinic, subject):
                opens = _probing(circuit, token)
                if circuit.state == CircuitState.CLOSED:
                    circuit.failures[who] = now
                    _forget_old(circuit, now)
                    opens = len(circuit.failures) >= FAILURES_TO_OPEN
                if opens:
                    if circuit.state == CircuitState.CLOSED:
                        circuit.failing_since = now
                    circuit.state, circuit.opened_at, circuit.token = CircuitState.OPEN, now, ""
                    made.append(Transition(level, CircuitState.OPEN))
            return Ruling(transitions=tuple(made))

    def abandoned(self, service: str, clinic: str, token: str) -> Ruling:
        with self._lock:
            for _, circuit, _ in self._both(service, clinic):
                if _probing(circuit, token):
                    circuit.probe_until = self._clock()
            return Ruling()

    def report(self, service: str) -> list[CircuitReport]:
        with self._lock:
            now = self._clock()
            self._both(service, PLATFORM)
            reports = []
            for (name, clinic), circuit in self._circuits.items():
                if name == service:
                    _forget_old(circuit, now)
                    is_closed = circuit.state == CircuitState.CLOSED
                    reports.append(
                        CircuitReport(
                            service,
                            clinic,
                            circuit.state,
                            len(circuit.failures),
                            None if is_closed else circuit.opened_at,
                            next_probe(circuit.state, circuit.opened_at, circuit.probe_until),
                            None if is_closed else circuit.failing_since,
                        )
                    )
            return [one for one in reports if one.clinic is None or not is_well(one)]


def _wait(circuit: _Circuit, now: float) -> float:
    if circuit.state == CircuitState.OPEN:
        return circuit.opened_at + COOL_DOWN_SECONDS - now
    if circuit.state == CircuitState.HALF_OPEN and circuit.probe_until > now:
        return min(PROBE_POLL_SECONDS, circuit.probe_until - now)
    return 0.0


def _probing(circuit: _Circuit, token: str) -> bool:
    return circuit.state == CircuitState.HALF_OPEN and circuit.token == token


def _forget_old(circuit: _Circuit, now: float) -> None:
    for who in [who for who, at in circuit.failures.items() if at < now - WINDOW_SECONDS]:
        del circuit.failures[who]
