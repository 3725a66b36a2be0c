"""What Twilio is answered while the database is away: the clinic's last-known line, else a spoken apology.

The signature is checked all the same, with the token that is kept beside the line. The call is written down, to be
looked up when the database is back.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from messaging.providers.twilio.client import platform_account
from monitoring.errors import error_response
from telephony.never_dead import last_known, unheard_calls
from telephony.never_dead.last_known import LastKnown
from telephony.twilio import form, voice_answers
from telephony.twilio.signature import signed_by


def forbidden() -> HttpResponse:
    return error_response(403, "forbidden", "The signature does not fit.")


def answer_call(request: HttpRequest, *, dial_is_over: bool) -> HttpResponse:
    """TwiML for a new call, or for what follows a dial that nobody can record."""
    entry = last_known.of_number(form.dialled(request))
    if not _believed(request, entry):
        return forbidden()
    # Either may be the first we hear of it: the database may go away between the two.
    unheard_calls.write_down(form.incoming(request))
    if dial_is_over:
        _, leg = form.dial_leg(request)
        return (
            voice_answers.hang_up()
            if leg.status == "completed"
            else voice_answers.say(voice_answers.NOBODY_NOW)
        )
    if entry is None or not entry.line:
        return voice_answers.say(voice_answers.NOBODY_NOW)
    return voice_answers.ring_last_known(entry.line, entry.ring_seconds)


def _believed(request: HttpRequest, entry: LastKnown | None) -> bool:
    """A number of which nothing is kept can only be the platform's account's to speak of."""
    if entry is not None:
        return signed_by(request, entry.account_sid, entry.auth_token)
    platform = platform_account()
    return signed_by(request, platform.sid, platform.auth_token)


def answer_whisper(request: HttpRequest) -> HttpResponse:
    """Whoever picked up is put through unasked: the digit could not be remembered, and the caller waits."""
    for entry in last_known.ringing_at(form.dialled(request)):
        if signed_by(request, entry.account_sid, entry.auth_token):
            return voice_answers.put_through()
    return forbidden()
