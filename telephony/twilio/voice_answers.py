"""TwiML for calls: whom to ring, and what to say where nobody can be rung. No personal data stands in an address.

Source: Twilio's Dial, Number, Sip, Gather and Say. ``answerOnBridge`` lets the caller hear the line ring, and bills
from when somebody takes the call.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

from telephony.missed_calls.lines import SIP, Line
from telephony.models import ActiveCall
from telephony.twilio.addresses import VOICE_PATH

Stage = ActiveCall.Stage

NOT_IN_SERVICE = "We are sorry, this number is not in service."
NOBODY_NOW = "We are sorry, nobody can take your call at the moment. Please call again later."
NOBODY_BUT_TEXT = "We are sorry, nobody could take your call. We are sending you a text message."
WHISPER_SECONDS = 8
# Nothing comes after it, so the clinic may take its time.
STATIC_RING_SECONDS = 30


def ring(line: Line, stage: str, call_id: UUID | None) -> HttpResponse:
    """Rings whoever answers at this stage; the outcome comes back to the same address."""
    dial = _dial(line.ring_seconds, stage)
    target = line.rung_at(stage)
    if stage == Stage.ASSISTANT:
        dial.sip(target) if target.lower().startswith(SIP) else dial.number(target)
    elif line.whisper and call_id is not None:
        dial.number(target, url=f"{settings.BACKEND_URL}{VOICE_PATH}/whisper/{call_id}", method="POST")
    else:
        dial.number(target)
    return _said(dial)


def ring_last_known(number: str, ring_seconds: int) -> HttpResponse:
    """Rings the clinic's line and asks nobody anything."""
    dial = _dial(ring_seconds, Stage.CLINIC.value)
    dial.number(number)
    return _said(dial)


def static_ring(number: str) -> str:
    """The TwiML to keep at Twilio itself for when nothing of ours answers: it leads back to no address of ours."""
    response = VoiceResponse()
    dial = Dial(timeout=STATIC_RING_SECONDS, answer_on_bridge=True)
    dial.number(number)
    response.append(dial)
    return str(response)


def say(sentence: str) -> HttpResponse:
    response = VoiceResponse()
    response.say(sentence)
    response.hangup()
    return answer(response)


def hang_up() -> HttpResponse:
    response = VoiceResponse()
    response.hangup()
    return answer(response)


def whisper_question(clinic: str, call_id: UUID) -> HttpResponse:
    """Asks whoever picked up to press 1; a voicemail does not."""
    response = VoiceResponse()
    gather = Gather(
        num_digits=1,
        action=f"{settings.BACKEND_URL}{VOICE_PATH}/whisper/{call_id}",
        method="POST",
        timeout=WHISPER_SECONDS,
    )
    gather.say(f"A call for {clinic}. Press 1 to take it.")
    response.append(gather)
    response.hangup()
    return answer(response)


def put_through() -> HttpResponse:
    """An empty document on the callee's leg joins the two lines."""
    return answer(VoiceResponse())


def answer(response: VoiceResponse) -> HttpResponse:
    return HttpResponse(str(response), content_type="text/xml")


def _dial(seconds: int, stage: str) -> Dial:
    action = f"{settings.BACKEND_URL}{VOICE_PATH}?mode=dial-result"
    if stage == Stage.ASSISTANT:
        action += "&stage=assistant"
    return Dial(action=action, method="POST", timeout=seconds, answer_on_bridge=True)


def _said(dial: Dial) -> HttpResponse:
    response = VoiceResponse()
    response.append(dial)
    return answer(response)
