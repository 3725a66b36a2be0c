"""What our own addresses answer while the database is away, shown without taking the database away.

The real view is asked, in a thread whose database connection leads to a port on which nobody listens: the look-ups fail
as they would, and everything after that is what a caller would get. It says nothing of other processes.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponseBase
from twilio.request_validator import RequestValidator

from telephony.never_dead.last_known import LastKnown
from telephony.twilio.addresses import VOICE_PATH

NOBODY_LISTENS = {"HOST": "127.0.0.1", "PORT": "1"}
SECONDS = 20.0
FORM = "application/x-www-form-urlencoded"
A_CALLER = "+15005550006"

View = Callable[[HttpRequest], HttpResponseBase]


class NotShown(RuntimeError):
    """The view gave no answer to look at."""


def twilio_answer(view: View, number: LastKnown) -> tuple[int, str]:
    """Status and body of the answer to a new call, signed as Twilio would. Raises NotShown."""
    form = {
        "CallSid": f"CA{uuid.uuid4().hex}",
        "AccountSid": number.account_sid,
        "From": A_CALLER,
        "To": number.number,
        "CallStatus": "ringing",
        "Direction": "inbound",
    }
    validator = RequestValidator(number.auth_token)
    signature = validator.compute_signature(f"{settings.BACKEND_URL}{VOICE_PATH}", form)
    headers = {"X-Twilio-Signature": str(signature)}
    return _asked(view, VOICE_PATH, urlencode(form).encode(), FORM, headers)


def vapi_answer(view: View, path: str, secret: str, phone_number_id: str) -> tuple[int, str]:
    """The same for an ``assistant-request``. Raises NotShown."""
    call = {"id": str(uuid.uuid4()), "phoneNumberId": phone_number_id}
    body = json.dumps({"message": {"type": "assistant-request", "call": call}}).encode()
    return _asked(view, path, body, "application/json", {"X-Vapi-Secret": secret})


def _asked(view: View, path: str, body: bytes, kind: str, headers: dict[str, str]) -> tuple[int, str]:
    # Here: its package is large, and no other process needs it.
    from django.test import RequestFactory

    request = RequestFactory().generic("POST", path, body, kind, headers=headers)
    answers: list[HttpResponseBase] = []
    faults: list[BaseException] = []

    def ask() -> None:
        _take_the_database_away()
        try:
            answers.append(view(request))
        except Exception as error:
            faults.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=ask, name="fire-drill", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if not answers:
        raise NotShown(type(faults[0]).__name__ if faults else f"no answer within {SECONDS:g} s")
    return answers[0].status_code, getattr(answers[0], "content", b"").decode("utf-8", "replace")


def _take_the_database_away() -> None:
    """For this thread alone: its connection is its own, and is not made yet."""
    connection = connections["default"]
    options: dict[str, Any] = {
        name: value for name, value in connection.settings_dict.get("OPTIONS", {}).items() if name != "pool"
    }
    connection.settings_dict = {**connection.settings_dict, **NOBODY_LISTENS, "OPTIONS": options}
