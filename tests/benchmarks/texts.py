"""10,000 texts of 100 clinics through one worker, and what another clinic's confirmation waits meanwhile:
``python -m tests.benchmarks.texts`` through the runtime, and a row of ``make bench``.

The provider (provider.py) answers after 100 ms and does nothing else. On a machine that others use too the processor
time of the worker says more than the texts a second do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib import import_module
from itertools import count
from typing import Any

from tests.benchmarks.processes import command_of, postgres_processes, seconds_of
from tests.benchmarks.stack import (
    PROJECT_ROOT,
    Stack,
    become_django,
    descendants,
    free_ports,
    running_stack,
)

TEXTS = 10_000
SENDERS = 100
ANSWER_MILLISECONDS = 100
PACE = 1000
QUIET = 20
CONFIRMATION_EVERY = 0.4
GIVE_UP_SECONDS = 300.0
BODY = (
    "Elm Street Clinic: we are closed on Thursday and open again on Friday at 9:00 AM. Reply STOP to opt out."
)
_serials = count(1)


@dataclass(frozen=True)
class Run:
    """Texts a second from the first request to the last, what the worker spent on one, and what confirmations of
    another clinic waited, in milliseconds."""

    per_second: float
    worker_milliseconds: float
    postgres_milliseconds: float
    busy: list[float]
    quiet: list[float]


@contextmanager
def provider() -> Iterator[int]:
    """The stand-in for Twilio in a process of its own; its port."""
    (port,) = free_ports(1)
    words = [sys.executable, "-m", "tests.benchmarks.provider", str(port), str(ANSWER_MILLISECONDS)]
    process = subprocess.Popen(words, cwd=PROJECT_ROOT)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextmanager
def stack_with_provider() -> Iterator[tuple[Stack, int]]:
    with provider() as port, running_stack({"TWILIO_API_BASE_URL": f"http://127.0.0.1:{port}"}) as stack:
        yield stack, port


def measure(stack: Stack, port: int, texts: int = TEXTS) -> Run:
    """Django of this process must know the stack's database already."""
    import_module("voxanne.celery")
    watched = _clinic("watched")
    quiet = _confirmations(watched, QUIET)
    clinics = [_clinic(f"bulk-{number}") for number in range(SENDERS)]
    time.sleep(1)
    before = _spent(stack)
    _queue(clinics, texts)
    busy: dict[str, float] = {}
    ends = time.monotonic() + GIVE_UP_SECONDS
    while (left := _queued()) and time.monotonic() < ends:
        busy |= _confirmations(watched, 1)
        time.sleep(CONFIRMATION_EVERY)
    after = _spent(stack)
    arrived = _arrived(port)
    # The last of them found the queue empty.
    waits = dict(list(busy.items())[:-1])
    bulk = sorted(at for at, recipient, _ in arrived if recipient.startswith("+1628"))
    if left or len(bulk) != texts:
        raise RuntimeError(f"{left} texts are left; {len(bulk)} of {texts} arrived.")
    return Run(
        per_second=texts / (bulk[-1] - bulk[0]),
        worker_milliseconds=(after["worker"] - before["worker"]) * 1000 / texts,
        postgres_milliseconds=(after["postgres"] - before["postgres"]) * 1000 / texts,
        busy=_waits(waits, arrived),
        quiet=_waits(quiet, arrived),
    )


def _clinic(slug: str) -> Any:
    """A clinic that may text, its id."""
    from messaging.models import SenderAccount
    from voxanne.tenancy.models import Organization
    from voxanne.tenancy.scope import platform_scope

    with platform_scope("benchmark"):
        org = Organization.objects.create(name=slug, slug=slug, timezone="America/New_York", country="US")
        number = f"+1650{next(_serials):07d}"
        SenderAccount.objects.create(org=org, number=number, segments_per_second=PACE)
    return org.pk


def _queue(clinics: list[Any], texts: int) -> None:
    """All of them in one moment, as a clinic's bulk is: nobody waits for them."""
    from django.utils import timezone

    from messaging.models import Message, SenderAccount
    from messaging.states import MessageKind
    from voxanne.tenancy.scope import platform_scope

    with platform_scope("benchmark"):
        senders = dict(SenderAccount.objects.values_list("org_id", "number"))
        Message.objects.bulk_create(
            (
                Message(
                    org_id=clinics[number % len(clinics)], kind=MessageKind.REMINDER, priority=2, body=BODY,
                    dedupe_key=f"bulk-{number}", recipient=f"+1628{number:07d}",
                    sender=senders[clinics[number % len(clinics)]], expires_at=timezone.now() + timedelta(hours=6),
                )
                for number in range(texts)
            ),
            batch_size=1000,
        )  # fmt: skip


def _confirmations(clinic: Any, number: int) -> dict[str, float]:
    """Written and committed as a booking does it; when each was, by its recipient."""
    from django.utils import timezone

    from messaging import outbox
    from messaging.states import MessageKind
    from voxanne.tenancy.scope import org_scope

    written = {}
    for _ in range(number):
        serial = next(_serials)
        recipient = f"+1415{serial:07d}"
        with org_scope(clinic):
            outbox.enqueue(
                org_id=clinic, kind=MessageKind.CONFIRMATION, recipient=recipient, body="You are booked.",
                dedupe_key=f"confirmation-{serial}", expires_at=timezone.now() + timedelta(hours=6),
            )  # fmt: skip
        written[recipient] = time.time()
        time.sleep(0.2 if number > 1 else 0)
    return written


def _queued() -> int:
    from messaging.models import Message
    from messaging.states import MessageState
    from voxanne.tenancy.scope import platform_scope

    with platform_scope("benchmark"):
        waiting = Message.objects.filter(state__in=[MessageState.QUEUED, MessageState.SENDING])
        return len(waiting.order_by()[:1])


def _arrived(port: int) -> list[tuple[float, str, str]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        return [(float(at), recipient, sender) for at, recipient, sender in json.load(answer)]


def _waits(written: dict[str, float], arrived: list[tuple[float, str, str]]) -> list[float]:
    return [(at - written[recipient]) * 1000 for at, recipient, _ in arrived if recipient in written]


def _spent(stack: Stack) -> dict[str, float]:
    """Seconds of processor time so far of the stack's worker and its PostgreSQL."""
    workers = [pid for pid in descendants(stack.pid) if " worker " in command_of(pid)]
    return {"worker": seconds_of(workers), "postgres": seconds_of(postgres_processes(stack.data))}


def told(run: Run) -> tuple[str, str]:
    """What was measured, and what it is compared to."""
    busy = f"another's confirmation p50 {statistics.median(run.busy):.0f} max {max(run.busy):.0f} ms"
    quiet = f"quiet p50 {statistics.median(run.quiet):.0f} max {max(run.quiet):.0f} ms"
    cost = f"worker {run.worker_milliseconds:.2f} ms a text, PostgreSQL {run.postgres_milliseconds:.2f}"
    return f"{run.per_second:.0f}/s, {busy}", f"{quiet}; {cost}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.texts", description=__doc__)
    parser.add_argument("texts", type=int, nargs="?", default=TEXTS)
    parser.add_argument("--json", action="store_true", help="For the whole table's sake.")
    options = parser.parse_args()
    with stack_with_provider() as (stack, port):
        become_django(stack)
        run = measure(stack, port, options.texts)
    print(json.dumps(asdict(run)) if options.json else "\n".join(told(run)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
