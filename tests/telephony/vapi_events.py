"""Every Vapi event of one call, as Vapi would send them: the fixtures of the tests of order and repetition."""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.telephony.vapi_client import VapiCaller, tool_call

Json = dict[str, Any]
BEGAN = 1795160429100  # 2026-11-20T07:40:29.100Z
ENDED = BEGAN + 269_000


def at(seconds: float) -> int:
    return BEGAN + int(seconds * 1000)


def report(link: str = "https://storage.vapi.ai/a.wav?sig=1") -> Json:
    """An end-of-call-report in its current form."""
    return {
        "endedReason": "customer-ended-call",
        "startedAt": "2026-11-20T07:40:29.000Z",
        "endedAt": "2026-11-20T07:44:58.000Z",
        "cost": 0.3142,
        "costs": [{"type": "transport", "minutes": 4.5, "cost": 0.05}],
        "analysis": {
            "summary": "Dana booked a visit.",
            "successEvaluation": "true",
            "structuredData": {"sentiment": "Positive"},
        },
        "artifact": {
            "transcript": "AI: Hello.\nUser: Hello.\n",
            "messages": [{"role": "bot", "message": "Hello.", "time": at(1), "secondsFromStart": 1.0}],
            "recording": {"mono": {"combinedUrl": link}},
            "variableValues": {"clinicName": "Elm Street"},
        },
    }


def events_of(call: VapiCaller, day: date) -> list[Json]:
    """The messages of a whole call in which a visit is booked on ``day``, in the order in which they happen."""
    wish = {
        "appointmentDate": day.isoformat(),
        "appointmentTime": "10:00",
        "patientName": "Dana Ruiz",
    }
    goodbye = {"reason": "completed", "summary": "Booked a visit."}

    def said(role: str, words: str, second: float, kind: str = "final") -> Json:
        return call.message(
            "transcript", role=role, transcriptType=kind, transcript=words, timestamp=at(second)
        )

    return [
        call.message("assistant-request", timestamp=at(-2)),
        call.message("status-update", status="ringing", timestamp=at(-1)),
        call.message("status-update", status="in-progress", timestamp=at(0.5)),
        call.message("speech-update", status="started", role="assistant", turn=0, timestamp=at(1)),
        said("assistant", "Good day.", 1.5),
        said("user", "I would", 3, kind="partial"),
        said("user", "I would like", 4, kind="partial"),
        said("user", "I would like a visit.", 5),
        call.message(
            'transcript[transcriptType="final"]', role="user", transcript="Tomorrow.", timestamp=at(6)
        ),
        call.message("conversation-update", conversation=[{"role": "user", "content": "x"}], timestamp=at(7)),
        call.message("hang", timestamp=at(8)),
        call.tools_message(tool_call("bookClinicAppointment", wish, "call_book"), timestamp=at(9)),
        call.message(
            "transfer-update", destination={"type": "number", "number": "+14155550199"}, timestamp=at(20)
        ),
        call.message("status-update", status="forwarding", timestamp=at(21)),
        call.tools_message(tool_call("endCall", goodbye, "call_end"), timestamp=at(260)),
        call.message(
            "status-update", status="ended", endedReason="assistant-said-end-call-phrase", timestamp=ENDED
        ),
        call.message("end-of-call-report", **report(), timestamp=ENDED + 9_000),
        call.message("assistant.speechStarted", text="Good day.", timestamp=at(1)),
        call.message("something.new", what="nobody knows", timestamp=at(30)),
    ]
