"""What PostgreSQL alone can do: a booking's own statements by pgbench, prepared, as the same bound role.

The statements are the product's, with pgbench's variables in the place of its parameters, so that both write
the same rows under the same policies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

SLOT_ID = "lpad(to_hex(:slot::bigint), 32, '0')::uuid"
START = "(timestamptz '2030-01-07 00:00Z' + (:slot::bigint % 200000000) * interval '5 minutes')"

CODE = "substr(encode(decode(md5(:slot::bigint::text), 'hex'), 'base64'), 1, 6)"


@dataclass(frozen=True)
class Ceiling:
    """Transactions a second and their mean latency at a number of clients."""

    per_second: float
    milliseconds: float


def values(clinic: dict[str, Any], service_id: str) -> dict[str, str]:
    """The SQL expression that stands for each parameter of the product's statements."""
    provider = clinic["providers"][0]["id"]
    phone = "('+1415' || lpad((:slot::bigint % 10000000)::text, 7, '0'))::varchar"
    return {
        "id": SLOT_ID, "call": SLOT_ID, "claim": SLOT_ID, "push": SLOT_ID, "contact": "'{contact}'",
        "org": f"'{clinic['org_id']}'::uuid", "vapi_call_id": ":slot::bigint::text", "twilio_call_sid": "''::text",
        "caller": phone, "recipient": phone, "phone": phone, "dialled": f"'{clinic['number']}'::text",
        "tool_call_id": "'call_1'::text", "tool": "'bookClinicAppointment'::text", "email": "''::text",
        "name": "'Dana Ruiz'::text", "names": "ARRAY['Dana Ruiz']", "most": "10", "provider": f"'{provider}'::uuid",
        "service": f"'{service_id}'::uuid", "patient_name": "'Dana Ruiz'::text", "starts_at": START,
        "ends_at": f"({START} + interval '5 minutes')", "blocked_from": START,
        "blocked_until": f"({START} + interval '5 minutes')", "source": "'voice'::text", "overlaps_knowingly": "false",
        "code": CODE, "call_id": SLOT_ID, "rescheduled_from": "NULL::uuid", "any_provider": "false",
        "first_name": "'dana'::text", "kind": "'confirmation'::text", "priority": "0",
        "dedupe_key": "('confirmation:' || :slot::bigint)::text", "about": "('appointment:' || :slot::bigint)::text",
        "body": "'Elm Street Clinic: you are booked for Monday 23 November 2026 at 9:00 AM. Code KTMBRX. "
        "https://voxanne.example.com/a/AZqKhbHRdJyk5nF1Vb0O2wAAAAAAAAAAAAA Reply STOP to opt out.'::text",
        "encoding": "'GSM-7'::text", "segments": "2", "expires_at": START, "not_before": "NULL::timestamptz",
        "consent": "'phone_call'::text", "template_values": "'{}'::text", "window_since": "now() - interval '1 day'",
    }  # fmt: skip


def script(clinic: dict[str, Any], service_id: str) -> str:
    """A pgbench script of one booking: the look-up, then the transaction's statements in the product's order."""
    from bookings.booking import INSERT_APPOINTMENT
    from messaging.contacts import UPSERT_BY_PHONE
    from messaging.outbox import ENQUEUE
    from telephony.tools.claims import CLAIM

    known = values(clinic, service_id)
    look_up = (
        f"SELECT org_id, plan_version FROM clinics_of_vapi_call('', '{clinic['vapi_phone_number_id']}', '')"
    )
    org = clinic["org_id"]
    scope = f"SELECT set_config('voxanne.org_ids', '{org}', true), set_config('voxanne.platform', '', true)"
    contact = f"{_filled(UPSERT_BY_PHONE.sql, known)} AS contact"
    known |= {"contact": ":'contact'::uuid"}
    answer = (
        f'UPDATE tool_invocations SET answer = \'{{"result": {{"ok": true}}}}\'::jsonb WHERE id = {SLOT_ID}'
    )
    lines = [
        "\\set slot random(1, 4000000000000)", look_up + ";", "BEGIN;", scope + ";", _filled(CLAIM.sql, known) + ";",
        contact + " \\gset", _filled(INSERT_APPOINTMENT.sql, known) + ";",
        _filled(ENQUEUE.sql, known) + ";", answer + ";", "COMMIT;",
    ]  # fmt: skip
    return "\n".join(lines).replace(":'contact'", ":contact") + "\n"


def _filled(statement: str, known: dict[str, str]) -> str:
    return re.sub(r"%\((\w+)\)s", lambda match: known[match.group(1)], statement).strip()


def measure(database_url: str, role: str, text: str, clients: int, seconds: int) -> Ceiling | None:
    """Runs the script with pgbench; None where this machine has no pgbench."""
    program = shutil.which("pgbench") or next(
        iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))), None
    )
    if program is None:
        return None
    url = urlsplit(database_url)
    environment = {**os.environ, "PGPASSWORD": unquote(url.password or ""), "PGOPTIONS": f"-c role={role}"}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(text)
        file.flush()
        where = [
            "-h",
            url.hostname or "127.0.0.1",
            "-p",
            str(url.port or 5432),
            "-U",
            unquote(url.username or ""),
        ]
        how = ["-n", "-M", "prepared", "-f", file.name, "-c", str(clients), "-j", "2", "-T", str(seconds)]
        command = [str(program), *how, *where, url.path.lstrip("/")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"pgbench failed:\n{done.stderr[-2000:]}")
    return Ceiling(
        _figure(r"tps = ([\d.]+)", done.stdout), _figure(r"latency average = ([\d.]+)", done.stdout)
    )


def _figure(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found.group(1)) if found else float("nan")
