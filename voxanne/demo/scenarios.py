"""Whole calls, step by step, each step timed and shown as it happens."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from voxanne.demo.clinics import DemoClinic
from voxanne.demo.voice import DemoFailed, Voice

DAYS_TRIED = 60
PATIENTS = ("Dana Ruiz", "Sam Okafor", "Mia Chen", "Noor Haddad", "Leo Martins", "Ava Novak")


@dataclass
class Timeline:
    """Prints each step with its own milliseconds and the time since the call came in."""

    write: Callable[[str], None]
    started: float = 0.0

    def begin(self) -> None:
        self.started = time.perf_counter()

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Times a step; what is appended to the yielded list is shown beside it."""
        details: list[str] = []
        began = time.perf_counter()
        yield details
        now = time.perf_counter()
        detail = "  ".join(details)
        self.write(
            f"{(now - self.started) * 1000:8.0f} ms  {name:<20} {(now - began) * 1000:6.0f} ms  {detail}".rstrip()
        )


def new_caller(clinic: DemoClinic) -> str:
    """A fictional mobile number of the clinic's country that no demo call has used lately."""
    serial = random.randrange(10_000)  # noqa: S311  (picks a demo number, guards nothing)
    return f"+1415555{serial:04d}" if clinic.country == "US" else f"+447700900{serial % 1000:03d}"


def booking(voice: Voice, timeline: Timeline) -> None:
    """The main path: call in, slots, booked, text delivered, event on the calendar, goodbye."""
    timeline.begin()
    _call_in(voice, timeline)
    slots = _offer(voice, timeline)
    booked = _book(voice, timeline, slots)
    with timeline.step("text delivered") as shown:
        text = voice.delivered_text(booked["confirmationCode"])
        shown.append(f"“{text['body']}”")
        voice.note("Text sent", "The confirmation is on the phone")
    with timeline.step("event on calendar") as shown:
        event = voice.calendar_event(booked["appointmentId"])
        shown.append(f"{event.get('calendar', '')}")
    _goodbye(voice, timeline)


def repeat(voice: Voice, timeline: Timeline) -> None:
    """Vapi repeats itself: the same tool call five times is one booking and one text."""
    timeline.begin()
    _call_in(voice, timeline)
    slots = _offer(voice, timeline)
    arguments = _arguments(slots)
    with timeline.step("booked, five times") as shown:
        answers = [voice.use_tool("bookClinicAppointment", "call_repeated", **arguments) for _ in range(5)]
        if any(answer != answers[0] for answer in answers):
            raise DemoFailed("A repeated tool call was answered differently.")
        shown.append(f"one appointment, code {answers[0]['confirmationCode']}")
    with timeline.step("text delivered"):
        voice.delivered_text(answers[0]["confirmationCode"])
    _goodbye(voice, timeline)


def transfer(voice: Voice, timeline: Timeline) -> None:
    """The caller wants a person: the call is put through by call control."""
    timeline.begin()
    _call_in(voice, timeline)
    with timeline.step("transfer asked for"):
        voice.use_tool("transferCall", department="billing", summary="A question about an invoice.")
    with timeline.step("put through") as shown:
        deadline = time.monotonic() + 30
        while not any(_is_transfer(command) for command in voice.commands()):
            if time.monotonic() > deadline:
                raise DemoFailed("The call was not put through within 30 s.")
            time.sleep(0.05)
        shown.append("the transfer command reached the call")
    voice.say("status-update", status="ended", endedReason="assistant-forwarded-call")


def missed(voice: Voice, timeline: Timeline) -> None:
    """Nobody takes the call, neither the clinic nor the assistant: the caller gets a text."""
    timeline.begin()
    with timeline.step("nobody answers") as shown:
        voice.ring("no-answer", "failed")
        shown.append(f"{voice.caller} rings {voice.clinic.number} in vain")
    with timeline.step("text delivered") as shown:
        text = voice.delivered_text("missed your call")
        shown.append(f"“{text['body']}”")


def change(voice: Voice, timeline: Timeline) -> None:
    """A change of mind: booked, moved, seen on the patient's own page, cancelled; and a message for the staff."""
    timeline.begin()
    _call_in(voice, timeline)
    slots = _offer(voice, timeline)
    booked = _book(voice, timeline, slots)
    with timeline.step("moved") as shown:
        wish = {
            "newDate": slots["date"],
            "newTime": slots["slots"][1],
            "appointmentId": booked["appointmentId"],
        }
        moved = voice.use_tool("rescheduleAppointment", **wish)
        shown.append(f"{moved['startsAt']}, still code {moved['confirmationCode']}")
        voice.note("Booked", f"Moved to {slots['date']} at {slots['slots'][1]}")
        voice.heard("assistant", moved["say"])
    with timeline.step("text delivered") as shown:
        text = voice.delivered_text("is now on")
        shown.append(f"“{text['body']}”")
    with timeline.step("patient's page"):
        (link,) = (word for word in text["body"].split() if "/a/" in word)
        if "BEGIN:VEVENT" not in voice.opens(f"{link}.ics") or voice.clinic.name not in voice.opens(link):
            raise DemoFailed("The link in the text does not open the visit.")
    with timeline.step("cancelled") as shown:
        shown.append(voice.use_tool("cancelAppointment", confirmationCode=moved["confirmationCode"])["say"])
    with timeline.step("message taken") as shown:
        told = voice.use_tool(
            "takeMessage", message="Please ring me about a time next month.", urgency="normal"
        )
        shown.append(told["say"])
    with timeline.step("text delivered"):
        voice.delivered_text("is cancelled")
    _goodbye(voice, timeline)


SCENARIOS: dict[str, Callable[[Voice, Timeline], None]] = {
    "booking": booking,
    "repeat": repeat,
    "transfer": transfer,
    "missed": missed,
    "change": change,
}


def _is_transfer(command: dict[str, Any]) -> bool:
    return "transfer" in (command.get("type"), (command.get("body") or {}).get("type"))


def _call_in(voice: Voice, timeline: Timeline) -> None:
    with timeline.step("call in") as shown:
        shown.append(f"{voice.caller} rings {voice.clinic.number}")
        reply = voice.say("assistant-request")
    with timeline.step("clinic recognised") as shown:
        if reply.get("assistantId") != voice.clinic.vapi_assistant_id:
            raise DemoFailed(f"The wrong assistant, or none, was named: {reply}")
        values = reply["assistantOverrides"]["variableValues"]
        shown.append(f"{values['clinicName']}, {values['weekday']} {values['today']} in {values['timeZone']}")
        voice.note("Call in", f"{values['clinicName']} recognised")
        voice.heard("assistant", f"Good day, {values['clinicName']}. How can I help?")
        voice.heard("user", "I would like to see somebody tomorrow, if there is a time.")
        voice.say("status-update", status="in-progress")


def _offer(voice: Voice, timeline: Timeline) -> dict[str, Any]:
    zone = ZoneInfo(voice.clinic.timezone)
    day = datetime.now(zone).date() + timedelta(days=1)
    with timeline.step("slots offered") as shown:
        slots = voice.use_tool("checkAvailability", date=_weekday(day).isoformat())
        if not slots["slots"]:
            nearest = (slots.get("alternatives") or [{}])[0]
            if not nearest.get("slots"):
                raise DemoFailed(f"Nothing is free from {day} on.")
            slots = {**slots, **nearest}
        shown.append(f"{slots['date']}: {', '.join(slots['slots'])}")
        voice.note("Slots offered", f"{slots['date']}: {', '.join(slots['slots'])}")
        voice.heard("assistant", slots["say"])
        voice.heard("user", f"At {slots['slots'][0]}, please.")
    return slots


def _weekday(day: date) -> date:
    return day if day.weekday() < 5 else day + timedelta(days=7 - day.weekday())


def _arguments(slots: dict[str, Any]) -> dict[str, Any]:
    return {
        "appointmentDate": slots["date"],
        "appointmentTime": slots["slots"][0],
        "patientName": random.choice(PATIENTS),  # noqa: S311  (picks a demo name, guards nothing)
    }


def _book(voice: Voice, timeline: Timeline, slots: dict[str, Any]) -> dict[str, Any]:
    with timeline.step("booked") as shown:
        arguments = _arguments(slots)
        booked = voice.use_tool("bookClinicAppointment", **arguments)
        voice.belongs_to(arguments["patientName"])
        shown.append(f"{booked['startsAt']}, code {booked['confirmationCode']}, text {booked['smsStatus']}")
        voice.note("Booked", f"{slots['date']} at {slots['slots'][0]}, code {booked['confirmationCode']}")
        voice.heard("assistant", booked["say"])
    return booked


def _goodbye(voice: Voice, timeline: Timeline) -> None:
    with timeline.step("call ended") as shown:
        goodbye = voice.use_tool("endCall", reason="completed", summary="Booked a visit.")
        shown.append(goodbye["say"])
        voice.heard("assistant", goodbye["say"])
        voice.say("status-update", status="ended", endedReason="assistant-said-end-call-phrase")
        voice.say(
            "end-of-call-report",
            endedReason="assistant-said-end-call-phrase",
            analysis={"summary": "The caller booked a visit."},
            artifact={"transcript": "AI: Which day suits you?\nUser: Tomorrow morning, please.\n"},
        )
        voice.note("Call ended", "The caller said goodbye")
        voice.hang_up()
