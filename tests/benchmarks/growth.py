"""What a booking and a look at free times cost when the tables have grown a hundredfold:
``python -m tests.benchmarks.growth`` through the runtime, and rows of ``make bench``.

A clinic with 5,000 visits to come and 3,000 behind it is asked twice by five callers: among 10,000 visits of five
clinics, and among a million of five hundred. Statistics are brought up to date in between, as autovacuum does it within
a minute.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import cycle
from typing import Any

from tests.benchmarks import wishes
from tests.benchmarks.load import Measured, run_clients
from tests.benchmarks.stack import Stack, become_django, running_stack, until_idle

VISITS = 1_000_000
FIRST_VISITS = 10_000
OWN_VISITS = 5_000
FIRST_CLINICS = 4
CROWD = 10
# Behind each of its providers.
OWN_PAST = 250
# They come again and again.
CALLERS = 200
CLINICS = 500
PROVIDERS = 4
BAR = 1.5
CLIENTS = 5
ROUNDS = 4
EACH = 50

# Two a day and provider, from so many days ago on, without the checks of foreign keys: they hold,
# and would be most of the work.
ADD_VISITS = """
INSERT INTO appointments
    (id, org_id, provider_id, service_id, contact_id, patient_name, starts_at, ends_at, blocked_from, blocked_until,
     status, source, overlaps_knowingly, confirmation_code, token_version, cancel_reason, notes, created_at, updated_at)
SELECT gen_random_uuid(), p.org_id, p.id, s.id, c.id, 'Dana Ruiz', day.at, day.at + interval '20 minutes', day.at,
       day.at + interval '20 minutes', CASE WHEN day.at < now() AND n %% 9 = 0 THEN 'cancelled' ELSE 'confirmed' END,
       'voice', false, 'g' || lpad(to_hex(p.position::integer), 2, '0') || lpad(to_hex(n), 3, '0'), 1, '', '', now(),
       now()
FROM providers p
JOIN organizations o ON o.id = p.org_id AND o.slug = %(slug)s
JOIN services s ON s.org_id = p.org_id AND s.is_default
CROSS JOIN LATERAL (SELECT id FROM contacts c WHERE c.org_id = p.org_id ORDER BY c.created_at LIMIT 1) c
CROSS JOIN generate_series(0, %(each)s - 1) n
CROSS JOIN LATERAL (SELECT date_trunc('hour', now()) - %(days_ago)s * interval '1 day' + n * interval '12 hours'
                           + random() * interval '3 hours') AS day (at)
"""


@dataclass(frozen=True)
class Grown:
    """Milliseconds of one figure among few visits and among many, and the second p95 as a multiple of the first."""

    figure: str
    small_p50: float
    small_p95: float
    large_p50: float
    large_p95: float

    @property
    def ratio(self) -> float:
        return self.large_p95 / self.small_p95


def measure(stack: Stack, visits: int = VISITS) -> Iterator[Grown]:
    """Django of this process must know the stack's database already."""
    from tests.benchmarks.crowd import crowded_clinic

    clinic = crowded_clinic(stack.seeded["clinics"][0], providers=CROWD, visits=OWN_VISITS)
    times = wishes.times_of(clinic, date.today() + timedelta(days=3))
    callers = cycle(f"+1415{number}" for number in range(2_000_000, 2_000_000 + CALLERS))
    few = FIRST_VISITS - OWN_VISITS - OWN_PAST * (CROWD + len(clinic["providers"]))
    _grow(stack, 0, FIRST_CLINICS, few // FIRST_CLINICS, also=clinic["slug"])
    _ask(stack, clinic, times, callers, rounds=1)
    small = _ask(stack, clinic, times, callers)
    _grow(stack, FIRST_CLINICS, CLINICS - 1, visits // CLINICS)
    _ask(stack, clinic, times, callers, rounds=1)
    large = _ask(stack, clinic, times, callers)
    for figure, before in small.items():
        after = large[figure]
        yield Grown(
            figure,
            before.percentile(50),
            before.percentile(95),
            after.percentile(50),
            after.percentile(95),
        )


def _ask(
    stack: Stack, clinic: dict[str, Any], times: Iterator[Any], callers: Iterator[str], rounds: int = ROUNDS
) -> dict[str, Measured]:
    """Bookings and looks at free times in turn, each beginning on an idle stack."""
    asked = {"booking": Measured(), "availability": Measured()}
    for _ in range(rounds):
        until_idle(stack)
        wanted = [
            [wishes.booking(clinic, next(times), next(callers)) for _ in range(EACH)] for _ in range(CLIENTS)
        ]
        _add(asked["booking"], run_clients(stack.port, wanted, wishes.is_booked))
        until_idle(stack)
        looked_at = [[_look(clinic) for _ in range(EACH)] for _ in range(CLIENTS)]
        _add(asked["availability"], run_clients(stack.port, looked_at, wishes.is_booked))
    return asked


def _look(clinic: dict[str, Any]) -> bytes:
    day = date.today() + timedelta(days=random.randrange(3, 40))
    return wishes.signed(clinic, "checkAvailability", {"date": day.isoformat()}, "+14155550142")


def _add(total: Measured, part: Measured) -> None:
    if part.errors:
        raise RuntimeError(f"{part.errors} requests failed, the first: {part.first_error}")
    total.milliseconds += part.milliseconds


def _grow(stack: Stack, first: int, last: int, share: int, also: str = "") -> None:
    """Adds the clinics with these numbers, ``share`` visits each, and a past to the clinic ``also``; then brings the
    statistics up to date."""
    import psycopg

    from voxanne.runtime.postgres import superuser_url
    from voxanne.runtime.state import POSTGRES, read_state

    _add_clinics(first, last)
    server = read_state(stack.data).server(POSTGRES)
    assert server is not None
    with psycopg.connect(superuser_url(server), autocommit=True) as database:
        database.execute("SET session_replication_role = replica")
        for number in range(first, last):
            wanted = {"slug": _slug(number), "each": share // PROVIDERS, "days_ago": 150}
            database.execute(ADD_VISITS, wanted)
            _tell(number + 1 - first, last - first)
        if also:
            database.execute(ADD_VISITS, {"slug": also, "each": OWN_PAST, "days_ago": 300})
        database.execute("VACUUM ANALYZE")
        database.execute("CHECKPOINT")


def _tell(done: int, wanted: int) -> None:
    if sys.stderr.isatty() and (done == wanted or done % 50 == 0):
        print(f"    {done} of {wanted} clinics have their visits …", file=sys.stderr, flush=True)


def _slug(number: int) -> str:
    return f"grown-{number}"


def _add_clinics(first: int, last: int) -> None:
    from bookings.models import Provider, Service
    from messaging.models import Contact
    from voxanne.tenancy.models import Organization
    from voxanne.tenancy.scope import platform_scope

    with platform_scope("benchmark"):
        orgs = Organization.objects.bulk_create(
            Organization(name=_slug(number), slug=_slug(number), timezone="America/New_York", country="US")
            for number in range(first, last)
        )
        Service.objects.bulk_create(
            Service(org_id=org.pk, name="Check-up", slug="check-up", is_default=True) for org in orgs
        )
        Contact.objects.bulk_create(Contact(org_id=org.pk, phone="+14155550111") for org in orgs)
        Provider.objects.bulk_create(
            Provider(org_id=org.pk, name=f"Dr. {place}", slug=f"p-{place}", position=place)
            for org in orgs
            for place in range(PROVIDERS)
        )


def told(grown: Grown) -> str:
    return (
        f"{grown.figure}: p50 {grown.small_p50:.1f} → {grown.large_p50:.1f}, "
        f"p95 {grown.small_p95:.1f} → {grown.large_p95:.1f} ms, {grown.ratio:.2f} times"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("visits", type=int, nargs="?", default=VISITS)
    parser.add_argument("--json", action="store_true", help="For the whole table's sake.")
    options = parser.parse_args()
    began = time.monotonic()
    with running_stack() as stack:
        become_django(stack)
        rows = list(measure(stack, options.visits))
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        print("\n".join(map(told, rows)), f"\n{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
