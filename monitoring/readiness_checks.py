"""What every installation stands on: settings, the database and its role, Redis, workers, keys, our address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from django.apps import apps
from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db.models import Model

from monitoring import redis_link
from monitoring.breaker import failing_now
from monitoring.circuits import CircuitReport
from monitoring.database_probe import DatabaseLook, DatabaseReport
from monitoring.findings import Finding, Verdict
from monitoring.heartbeats import BEAT, STALE_SECONDS, WORKER
from monitoring.readiness import failed, passed, register_check, warned
from monitoring.service_words import name_of, whose_circuit
from voxanne.encryption import EncryptedTextField, UnreadableCredential, decrypt, encrypt
from voxanne.environment import is_reachable_from_outside
from voxanne.tenancy.checks import serving_role_faults
from voxanne.tenancy.scope import platform_scope

BACKEND_ADDRESS = "backend address"
MOST_READ = 200


def settings_check() -> list[Finding]:
    """In production the server has refused to start over any of these; elsewhere they are told ahead."""
    faults: list[str] = list(settings.PRODUCTION_FAULTS)
    faults += [
        str(message.msg) for message in run_checks(include_deployment_checks=False) if message.level >= ERROR
    ]
    if not faults:
        return passed("settings", "Nothing is missing.")
    report = failed if settings.PRODUCTION else warned
    return report("settings", " ".join(faults), "Set them as docs/settings.md says before going live.")


def backend_address() -> list[Finding]:
    """Whether providers can call us at the address they are given."""
    url, source = settings.BACKEND.url, settings.BACKEND.source
    detail = f"{url} (from {'the default' if source == 'default' else source})"
    if url.startswith("https://") and is_reachable_from_outside(url):
        return passed(BACKEND_ADDRESS, detail)
    report = failed if settings.PRODUCTION else warned
    advice = "Set BACKEND_URL to our public https origin, then run `manage.py sync_vapi_tools`."
    return report(BACKEND_ADDRESS, f"{detail} cannot be called from outside.", advice)


def database() -> list[Finding]:
    seen = DatabaseLook()()
    if not seen.reachable:
        return failed("database", "It cannot be reached.", "Check DATABASE_URL, and that PostgreSQL runs.")
    return passed("database", "It answers." if seen.size_mb is None else f"It answers; {seen.size_mb} MB.")


def migrations() -> list[Finding]:
    if DatabaseLook()().migrated:
        return passed("migrations", "All are applied.")
    return failed("migrations", "Some are not applied.", "Run `manage.py migrate --database owner`.")


def serving_role() -> list[Finding]:
    faults = serving_role_faults()
    if faults:
        return failed("serving role", " ".join(faults), "See docs/settings.md, Roles in the database.")
    return passed("serving role", "It cannot bypass row-level security.")


def redis() -> list[Finding]:
    if redis_link.link().answers():
        return passed("Redis", "It answers.")
    advice = "Check REDIS_URL, and that it runs. No text goes out until it is back: they wait as rows."
    return failed("Redis", "It cannot be reached.", advice)


def background_jobs() -> list[Finding]:
    seen = DatabaseLook()()
    worker = _heartbeat(WORKER, seen)
    if worker.verdict is Verdict.PASS:
        return [_heartbeat(BEAT, seen), worker]
    # Beat's sign of life is written by a worker.
    return [
        *warned(BEAT, "Cannot be told while no worker shows life.", "Start the worker, then look again."),
        worker,
    ]


def circuits() -> list[Finding]:
    """The outside services that keep work waiting just now."""
    failing = failing_now()
    if not failing:
        return passed("circuits", "No outside service is known to be failing.")
    with platform_scope("name clinics in the readiness report"):
        told = "; ".join(_failing(one) for one in failing)
    advice = (
        "Their work waits and goes on by itself. See Circuits in the admin, and the provider's status page."
    )
    return warned("circuits", f"{told}.", advice)


def _failing(report: CircuitReport) -> str:
    since = f"{datetime.fromtimestamp(report.failing_since or 0.0, UTC):%-d %b, %H:%M} UTC"
    return f"{name_of(report.service)} is failing for {whose_circuit(report.clinic)} since {since}"


def _heartbeat(job: str, seen: DatabaseReport) -> Finding:
    age = seen.heartbeat_ages.get(job)
    if age is not None and age < STALE_SECONDS:
        return passed(job, f"Seen {age:.0f} s ago.")[0]
    detail = "Never seen." if age is None else f"Last seen {age:.0f} s ago."
    return failed(
        job, detail, "Start it: without beat and a worker no text is sent and no call is followed up."
    )[0]


def encryption_keys() -> list[Finding]:
    """Whether the newest key writes what the keys read, and whether what is stored can still be read."""
    if not settings.CREDENTIAL_ENCRYPTION_KEYS:
        return failed("encryption keys", "There is none.", "Set CREDENTIAL_ENCRYPTION_KEYS.")
    try:
        if decrypt(encrypt("probe")) != "probe":
            return failed("encryption keys", "What is encrypted comes back as something else.")
        read = sum(1 for _ in _stored_credentials())
    except ValueError:
        return failed("encryption keys", "A key is no Fernet key.", "Correct CREDENTIAL_ENCRYPTION_KEYS.")
    except UnreadableCredential as fault:
        return failed("encryption keys", str(fault), "Add the older key behind the newest one.")
    return passed("encryption keys", f"They read all of {read} stored credentials.")


def _stored_credentials() -> Iterator[str]:
    """The newest encrypted values of each column. Raises UnreadableCredential."""
    with platform_scope("can every stored credential be read"):
        for model in apps.get_models():
            yield from _read(model)


def _read(model: type[Model]) -> Iterator[str]:
    for field in model._meta.concrete_fields:
        if isinstance(field, EncryptedTextField):
            rows = model._default_manager.exclude(**{field.name: ""}).order_by("-pk")
            yield from rows.values_list(field.name, flat=True)[:MOST_READ]


def register() -> None:
    register_check("settings", settings_check)
    register_check(BACKEND_ADDRESS, backend_address)
    register_check("database", database)
    register_check("migrations", migrations)
    register_check("serving role", serving_role)
    register_check("Redis", redis)
    register_check("background jobs", background_jobs)
    register_check("encryption keys", encryption_keys)
    register_check("circuits", circuits)
