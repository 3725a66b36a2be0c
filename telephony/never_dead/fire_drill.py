"""The fire drill: proves number by number that the clinic's phone rings when our database, or all of us, is down.

What is proved and how: our own answers by asking the real views without a database (``no_database``), what is kept
outside it by comparing it with the database, and the providers' own fallbacks by asking the providers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from xml.etree import ElementTree

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from messaging.models import SenderAccount
from messaging.providers.twilio.client import Account
from messaging.senders import account_of
from monitoring.retention import remove
from telephony.models import FireDrill, PhoneNumber
from telephony.never_dead import last_known, no_database
from telephony.never_dead.last_known import LastKnown
from telephony.never_dead.line_keeping import entries_of
from telephony.never_dead.no_database import NotShown
from telephony.never_dead.states import DrillState
from telephony.twilio.numbers import NumbersUnavailable, at_twilio, readable_twiml
from telephony.vapi.fallbacks import number_at_vapi
from telephony.vapi.rest import VapiFault
from voxanne.durable.hints import hint_on_commit
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind

DRILL_WORK = "fire-drill"
DRILL_QUEUE = "maintenance"
FRESH_SECONDS = 900.0
KEPT = timedelta(days=90)
NO_LINE = "The number has no line to ring: enter the clinic's own, one that is not ours, under Phone numbers."
MAKE_BIN = (
    "Make a TwiML Bin of what `manage.py fallback_twiml` prints and set it as the number's voice fallback."
)

Verdict = FireDrill.Verdict
ORDER = (Verdict.PASS, Verdict.WARN, Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class Check:
    """``said`` is what was found and, where it is not well, what to do."""

    name: str
    verdict: str
    said: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A number as the database has it."""

    wanted: LastKnown
    account: Account
    vapi_id: str


def subject_of(number: PhoneNumber) -> Subject:
    """Inside the clinic's scope. Raises LookupError when the number is gone."""
    entries = {entry.number: entry for entry in entries_of(number.org_id)}
    account = account_of(SenderAccount.objects.filter(org_id=number.org_id).first())
    return Subject(entries[number.number], account, number.vapi_phone_number_id or "")


def checks_of(subject: Subject) -> list[Check]:
    """Every check of one number, outside any transaction: providers are asked."""
    made = [_rings_without_database(subject), _kept_line(subject), _twilio_fallback(subject)]
    if subject.vapi_id:
        made += [_vapi_without_database(subject), _vapi_fallback(subject)]
    return made


def worst(checks: list[Check]) -> str:
    return max((Verdict(check.verdict) for check in checks), key=ORDER.index, default=Verdict.PASS).value


def _rings_without_database(subject: Subject) -> Check:
    # Here, so that a process that drills nothing need not load the views.
    from telephony.twilio.voice_view import voice

    told = partial(Check, "Voice address without the database")
    if not subject.wanted.line:
        return told(Verdict.FAIL, NO_LINE)
    try:
        status, twiml = no_database.twilio_answer(voice, subject.wanted)
    except NotShown as fault:
        return told(Verdict.FAIL, f"It gave no answer ({fault}); the log says why.")
    if status == 200 and _rings(twiml, subject.wanted.line):
        return told(Verdict.PASS, "It rings the clinic's line.")
    return told(
        Verdict.FAIL, f"It answered {status} and does not ring the line: see the check of the kept line."
    )


def _vapi_without_database(subject: Subject) -> Check:
    from telephony.vapi.views import webhook

    told = partial(Check, "Vapi's request without the database")
    secrets = [*subject.wanted.vapi_secrets, settings.VAPI_WEBHOOK_SECRET]
    try:
        _, body = no_database.vapi_answer(webhook, reverse("vapi-webhook"), secrets[0], subject.vapi_id)
        destination = json.loads(body).get("destination") or {}
    except (NotShown, ValueError) as fault:
        return told(Verdict.FAIL, f"It gave no answer ({type(fault).__name__}); the log says why.")
    if subject.wanted.line and destination.get("number") == subject.wanted.line:
        return told(Verdict.PASS, "It is sent on to the clinic's line.")
    return told(Verdict.FAIL, "It is not sent on to the clinic's line: see the check of the kept line.")


def _kept_line(subject: Subject) -> Check:
    told = partial(Check, "Line kept outside the database")
    known, age = last_known.of_number(subject.wanted.number), last_known.age_of(subject.wanted)
    where = f"{last_known.FOLDER} under VOXANNE_DATA_DIR"
    if known is None:
        return told(Verdict.FAIL, f"Nothing is kept: see that {where} can be written and a worker runs.")
    if known != subject.wanted:
        return told(Verdict.FAIL, f"It differs from the database: see that {where} can be written.")
    if age is None or age > FRESH_SECONDS:
        return told(Verdict.WARN, "It was not looked at lately: see that beat and a worker run.")
    return told(Verdict.PASS, f"It is the database's, looked at {age:.0f} s ago.")


def _twilio_fallback(subject: Subject) -> Check:
    told = partial(Check, "Twilio's own fallback")
    try:
        found = at_twilio(subject.account, subject.wanted.number)
    except NumbersUnavailable as fault:
        return told(Verdict.WARN, f"Not asked: {fault}")
    if found is None:
        return told(Verdict.WARN, "Twilio's account has no such number: see the Sender's account.")
    address = str(found.voice_fallback_url or "")
    if not address:
        return told(Verdict.FAIL, f"None is set. {MAKE_BIN}")
    if address.startswith(f"{settings.BACKEND_URL}/"):
        return told(Verdict.FAIL, f"It leads to ourselves, who would be down. {MAKE_BIN}")
    twiml = readable_twiml(address)
    if twiml is None:
        return told(Verdict.WARN, "One is set, but we cannot read it: see at Twilio that it rings the line.")
    if not _rings(twiml, subject.wanted.line):
        return told(Verdict.FAIL, f"It does not ring the clinic's line. {MAKE_BIN}")
    return told(Verdict.PASS, "It rings the clinic's line.")


def _vapi_fallback(subject: Subject) -> Check:
    told = partial(Check, "Vapi's own fallback")
    try:
        number = number_at_vapi(subject.vapi_id)
    except VapiFault as fault:
        return told(Verdict.WARN, f"Not asked: {fault}")
    if number is None:
        return told(Verdict.WARN, "Vapi has no number of this id: see the number's id.")
    if not number.fallback:
        return told(Verdict.FAIL, "No fallbackDestination is set: set it to the clinic's line.")
    if number.fallback != subject.wanted.line:
        return told(Verdict.FAIL, "Its fallbackDestination is not the clinic's line: set it anew.")
    if number.fixed:
        return told(
            Verdict.FAIL, "An assistant is fixed on the number, so the fallback is ignored: take it off."
        )
    return told(Verdict.PASS, "It is the clinic's line.")


def _rings(twiml: str, line: str) -> bool:
    """Whether the document dials ``line``. A document we did not write is not trusted to be one."""
    if not line or "<!" in twiml:
        return False
    try:
        root = ElementTree.fromstring(twiml)  # noqa: S314  (no document type: nothing to expand)
    except ElementTree.ParseError:
        return False
    dials = root.findall("Dial")
    dialled = [dial.text for dial in dials] + [noun.text for dial in dials for noun in dial.findall("Number")]
    return line in {(text or "").strip() for text in dialled}


# --- Kept, and asked for --------------------------------------------------------------------------


def ask_for_drill(number: PhoneNumber) -> FireDrill:
    """Has a worker drill the number soon. Inside the clinic's scope."""
    drill = FireDrill.objects.create(org_id=number.org_id, number=number)
    hint_on_commit(DRILL_WORK, DRILL_QUEUE, number.org_id, drill.pk)
    return drill


def keep_result(number: PhoneNumber, checks: list[Check]) -> FireDrill:
    """Enters a drill that has been made. Inside the clinic's scope."""
    return FireDrill.objects.create(
        org_id=number.org_id, number=number, state=DrillState.DONE, **_columns(checks)
    )


def _columns(checks: list[Check]) -> dict[str, Any]:
    return {
        "verdict": worst(checks),
        "checks": [asdict(check) for check in checks],
        "finished_at": timezone.now(),
    }


def prepare(drill: FireDrill) -> Subject:
    return subject_of(drill.number)


def perform(drill: FireDrill, subject: Subject) -> Settlement:
    return Settlement(DrillState.DONE, columns=_columns(checks_of(subject)))


def forget_fire_drills() -> int:
    """Removes drills that have served their time; returns how many."""
    return remove(_old_drills, "forget old fire drills")


def _old_drills() -> QuerySet[FireDrill]:
    ended = FireDrill.objects.filter(state__in=(DrillState.DONE, DrillState.DEAD))
    return ended.filter(created_at__lt=timezone.now() - KEPT)


FIRE_DRILL: WorkKind[FireDrill] = WorkKind(
    name=DRILL_WORK,
    model=FireDrill,
    prepare=prepare,
    perform=perform,
    lease=timedelta(minutes=3),
    queue=DRILL_QUEUE,
    threads=2,
)
