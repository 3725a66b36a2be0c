"""Twilio's voice addresses: an incoming call, the outcome of its dial, the whisper, and the number's call status.

Signed by the account that owns the number, else 403 and nothing written. The answer is always TwiML: when the database
is away, or our own code fails, the clinic's last-known line is rung.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from bookings.plan import ClinicPlan, clinic_plan
from messaging.providers.twilio.client import platform_account
from messaging.senders import account_at
from monitoring import metrics
from telephony.missed_calls import settling
from telephony.missed_calls.dial_outcomes import ENDED, NOBODY_TOOK_IT, Verdict, verdict_of
from telephony.missed_calls.lines import Line, Stage, clinic_dialled_at, line_of
from telephony.missed_calls.settling import Outcome, Path
from telephony.models import ActiveCall
from telephony.never_dead.line_keeping import refresh_where_it_changed
from telephony.twilio import away, form, voice_answers
from telephony.twilio.away import forbidden
from telephony.twilio.signature import signed_by
from telephony.webhooks.database_faults import answer_to
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

logger = structlog.get_logger(__name__)

OF_ACTIVE_CALL = Statement("SELECT org_id, plan_version FROM clinic_of_active_call(%s::uuid)")
DIAL_RESULT = "dial-result"
ACCEPTING_DIGIT = "1"


@csrf_exempt
@require_POST
def voice(request: HttpRequest) -> HttpResponse:
    """A new call, or with ``?mode=dial-result`` what became of its dial."""
    dial_is_over = request.GET.get("mode") == DIAL_RESULT
    return _always_twiml(
        request,
        _after_dial if dial_is_over else _new_call,
        lambda: away.answer_call(request, dial_is_over=dial_is_over),
    )


@csrf_exempt
@require_POST
def whisper(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """Heard by whoever picked up at the clinic, before the lines are joined."""
    return _always_twiml(
        request, lambda asked: _whispered(asked, call_id), lambda: away.answer_whisper(request)
    )


@csrf_exempt
@require_POST
def call_status(request: HttpRequest) -> HttpResponse:
    """The number's own word that a call is over: it comes even where our voice address never answered."""
    try:
        return _note_status(request)
    except DatabaseError as error:
        return answer_to(error)


def _always_twiml(
    request: HttpRequest,
    answer: Callable[[HttpRequest], HttpResponse],
    otherwise: Callable[[], HttpResponse],
) -> HttpResponse:
    # A form that cannot be read is its sender's fault and refused as such, before any of this.
    _ = request.POST
    began = time.perf_counter()
    try:
        response = answer(request)
        metrics.observe_webhook_ack("twilio", time.perf_counter() - began)
        return response
    except DatabaseError as error:
        logger.warning("voice_without_database", kind=type(error).__name__)
    except Exception as error:
        # Whatever is wrong with us, somebody is on the line.
        logger.exception("voice_failed", error=type(error).__name__)
    return otherwise()


def _new_call(request: HttpRequest) -> HttpResponse:
    clinic = clinic_dialled_at(form.dialled(request))
    if clinic is None:
        return _unknown_number(request)
    if not _owned(request, clinic):
        return forbidden()
    incoming = form.incoming(request)
    with org_scope(clinic.org_id):
        plan = clinic_plan(clinic)
        line = line_of(clinic.org_id, incoming.dialled, plan.country)
        stage = line.first_stage
        call = settling.note_call(clinic.org_id, line, incoming, stage) if incoming.call_sid else None
        answer = _ring(line, stage, call, plan)
    refresh_where_it_changed(line, clinic.org_id)
    return answer


def _ring(line: Line, stage: str, call: ActiveCall | None, plan: ClinicPlan) -> HttpResponse:
    if line.rung_at(stage):
        return voice_answers.ring(line, stage, call.pk if call else None)
    # Nobody can be rung at all: the caller has missed the clinic already.
    settled = settling.settle(call, Outcome.MISSED, Path.FAST, plan) if call else None
    return _sorry(settled)


def _sorry(settled: settling.Settled | None) -> HttpResponse:
    texted = settled is not None and settled.text == ActiveCall.Text.QUEUED
    return voice_answers.say(voice_answers.NOBODY_BUT_TEXT if texted else voice_answers.NOBODY_NOW)


def _after_dial(request: HttpRequest) -> HttpResponse:
    clinic = clinic_dialled_at(form.dialled(request))
    if clinic is None:
        return _unknown_number(request)
    if not _owned(request, clinic):
        return forbidden()
    incoming = form.incoming(request)
    stage = Stage.ASSISTANT if request.GET.get("stage") == Stage.ASSISTANT else Stage.CLINIC
    with org_scope(clinic.org_id):
        plan = clinic_plan(clinic)
        line = line_of(clinic.org_id, incoming.dialled, plan.country)
        call = settling.note_call(clinic.org_id, line, incoming, stage) if incoming.call_sid else None
        return _judged(request, line, stage, call, plan) if call else voice_answers.hang_up()


def _judged(
    request: HttpRequest, line: Line, stage: Stage, call: ActiveCall, plan: ClinicPlan
) -> HttpResponse:
    leg_sid, leg = form.dial_leg(request)
    if stage == Stage.ASSISTANT and call.stage != stage:
        settling.go_on_to_assistant(call, call.dial_call_sid)
        call.stage = stage
    verdict = verdict_of(leg, line.terms(stage, call.whisper))
    if verdict is Verdict.MISSED and line.goes_on(stage) and not _caller_left(request, leg.status):
        settling.go_on_to_assistant(call, leg_sid)
        return voice_answers.ring(line, Stage.ASSISTANT, call.pk)
    if stage == Stage.CLINIC and call.stage == Stage.ASSISTANT:
        # Told again, and otherwise than before: what became of the call is for the assistant's own leg to say.
        return voice_answers.hang_up()
    if verdict is Verdict.MISSED:
        return _sorry(settling.settle(call, Outcome.MISSED, Path.FAST, plan, dial_call_sid=leg_sid))
    if verdict is Verdict.ANSWERED:
        settling.settle(call, Outcome.ANSWERED, Path.FAST, plan, dial_call_sid=leg_sid)
    # Anything else says nothing yet: the poller will ask.
    return voice_answers.hang_up()


def _caller_left(request: HttpRequest, dial_status: str) -> bool:
    return dial_status == "canceled" or form.call_status(request) in ENDED


def _whispered(request: HttpRequest, call_id: UUID) -> HttpResponse:
    row = OF_ACTIVE_CALL.row([call_id])
    clinic = ClinicKey(*row) if row else None
    if clinic is None or not _owned(request, clinic):
        return forbidden()
    digits = request.POST.get("Digits", "").strip()
    with org_scope(clinic.org_id):
        if not digits:
            settling.heed_whisper(call_id, ActiveCall.Whisper.ASKED)
            return voice_answers.whisper_question(clinic_plan(clinic).name, call_id)
        accepted = digits == ACCEPTING_DIGIT
        settling.heed_whisper(
            call_id, ActiveCall.Whisper.ACCEPTED if accepted else ActiveCall.Whisper.REFUSED
        )
    return voice_answers.put_through() if accepted else voice_answers.hang_up()


def _note_status(request: HttpRequest) -> HttpResponse:
    clinic = clinic_dialled_at(form.dialled(request))
    if clinic is None:
        return HttpResponse(status=204) if _is_the_platforms(request) else forbidden()
    if not _owned(request, clinic):
        return forbidden()
    incoming, status = form.incoming(request), form.call_status(request)
    if incoming.call_sid and status in ENDED and request.POST.get("Direction", "inbound") == "inbound":
        with org_scope(clinic.org_id):
            plan = clinic_plan(clinic)
            line = line_of(clinic.org_id, incoming.dialled, plan.country)
            # ``completed`` does not say who took the call: its row is there for the poller, should no dial have told.
            call = settling.note_call(clinic.org_id, line, incoming, line.first_stage)
            if call is not None and status in NOBODY_TOOK_IT:
                settling.settle(call, Outcome.MISSED, Path.FAST, plan)
    return HttpResponse(status=204)


def _owned(request: HttpRequest, clinic: ClinicKey) -> bool:
    """Whether the account that owns the clinic's numbers says this."""
    account = account_at(clinic)
    return signed_by(request, account.sid, account.auth_token)


def _is_the_platforms(request: HttpRequest) -> bool:
    platform = platform_account()
    return signed_by(request, platform.sid, platform.auth_token)


def _unknown_number(request: HttpRequest) -> HttpResponse:
    return voice_answers.say(voice_answers.NOT_IN_SERVICE) if _is_the_platforms(request) else forbidden()
