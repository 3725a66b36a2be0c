"""Missed calls from end to end: Twilio rings, we answer over real sockets, and the texts are counted on the phones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from messaging.models import StaffTask
from monitoring import metrics
from telephony.missed_calls.polling import Round, check_missed_calls
from telephony.models import ActiveCall, Call, PhoneNumber, ToolInvocation
from telephony.never_dead import line_keeping, unheard_calls
from telephony.twilio.calls_client import Leg
from tests.missed_calls.house import CALLER, House
from tests.missed_calls.twilio_post import new_sid, set_up
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True)

UNHEARD: dict[str, Any] = {"lose_dial_result": True, "lose_status": True}
POLLED = "/api/cron/check-missed-calls"


def poll() -> Round:
    return check_missed_calls()


def poll_from_outside() -> dict[str, Any]:
    answer = Client().post(POLLED, headers={"Authorization": f"Bearer {settings.CRON_SECRET}"})
    assert answer.status_code == 200, answer.content
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("outcome", ["no-answer", "busy", "failed"])
def test_by_twilios_word_alone(house: House, outcome: str) -> None:
    house.rings(outcome)
    call = house.call()
    assert (call.outcome, call.settled_by, call.processed) == ("missed", "fast", True)
    assert len(house.phone()) == 1
    waited = house.call().text_requested_at
    assert waited is not None
    assert call.dial_ended_at is not None
    assert 0 <= (waited - call.dial_ended_at).total_seconds() < 3


def test_an_answered_call_is_no_missed_call(house: House) -> None:
    house.rings("answered")
    assert house.call().outcome == "answered"
    assert house.phone() == []


def test_a_caller_who_leaves_while_it_rings_is_missed(house: House) -> None:
    house.rings("answered", ring_seconds=1, hangs_up_after=0.1)
    assert house.call().outcome == "missed"
    assert len(house.phone()) == 1


def test_by_the_numbers_status_alone(house: House) -> None:
    house.rings("answered", ring_seconds=1, hangs_up_after=0.1, lose_dial_result=True)
    call = house.call()
    assert (call.outcome, call.settled_by) == ("missed", "fast")
    assert len(house.phone()) == 1


def test_by_the_poller_alone(house: House) -> None:
    house.rings(**UNHEARD)
    assert not house.call().processed
    assert poll() == Round(), "it is younger than 31 s"
    house.grow_older(seconds=32)
    told = poll_from_outside()
    assert (told["processed"], told["missedDetected"], told["stillActive"]) == (1, 1, 0)
    call = house.call()
    assert (call.outcome, call.settled_by) == ("missed", "fallback")
    assert call.dial_call_sid.startswith("CA")
    assert len(house.phone()) == 1
    assert poll() == Round()


def test_the_poller_looks_at_the_leg_and_not_at_the_call(house: House) -> None:
    """What is said to the caller after the dial makes the call itself completed."""
    house.rings(repeat_dial_result=1, lose_status=True)
    with org_scope(house.clinic.id):
        ActiveCall.objects.update(processed=False, outcome="", text="")
        house.clinic.org.textback_set.all().delete()
    ended = house.sandbox.control("/twilio/calls")
    assert {call["status"] for call in ended if not call["parent_call_sid"]} == {"completed"}
    house.grow_older(seconds=32)
    assert poll() == Round(processed=1, missed=1)


def test_an_answered_call_found_by_the_poller_gets_no_text(house: House) -> None:
    house.rings("answered", **UNHEARD)
    house.grow_older(seconds=32)
    assert poll() == Round(processed=1)
    assert (house.call().outcome, house.phone()) == ("answered", [])


def test_the_pollers_voicemail_rule_is_the_numbers(house: House) -> None:
    set_up(house.clinic, voicemail_seconds=20)
    house.rings("voicemail", duration=12, **UNHEARD)
    house.grow_older(seconds=32)
    assert poll() == Round(processed=1, missed=1)
    assert len(house.phone()) == 1


def test_by_both_paths_one_after_the_other(house: House) -> None:
    house.rings(repeat_dial_result=3)
    house.grow_older(seconds=32)
    assert poll() == Round()
    assert len(house.phone()) == 1


def test_still_ringing_at_the_poll(house: House) -> None:
    house.sandbox.control(
        "/twilio/inbound-call",
        {"from": CALLER, "to": house.clinic.number, "outcome": "no-answer", "ring_seconds": 1.5, **UNHEARD},
    )
    house.sandbox.wait_for(house.calls)
    house.grow_older(seconds=32)
    assert poll() == Round(still_active=1)
    assert house.call().polled_at is not None
    house.sandbox.wait_for(lambda: poll() == Round(processed=1, missed=1), 10)
    assert len(house.phone()) == 1


def test_a_call_that_twilio_does_not_know_is_closed_without_a_text(house: House) -> None:
    house.rings(**UNHEARD)
    with org_scope(house.clinic.id):
        ActiveCall.objects.update(call_sid=new_sid())
    house.grow_older(seconds=32)
    assert poll() == Round(processed=1)
    assert (house.call().outcome, house.phone()) == ("gone", [])


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "slow_before", "delay_seconds": 3},
        {"kind": "server_error"},
        {"kind": "rate_limited"},
        {"kind": "connection_reset"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_twilio_that_cannot_be_asked_leaves_the_call_for_the_next_round(
    house: House, fault: dict[str, Any]
) -> None:
    house.rings(**UNHEARD)
    house.grow_older(seconds=32)
    house.sandbox.fault(**fault, match={"path": "/Calls"}, count=1)
    assert poll() == Round(still_active=1)
    assert not house.call().processed
    assert poll() == Round(processed=1, missed=1)
    assert len(house.phone()) == 1


def test_calls_of_two_hours_ago_get_no_text_and_staff_are_told(house: House) -> None:
    house.rings(**UNHEARD)
    house.grow_older(hours=2, seconds=1)
    assert poll() == Round(processed=1)
    assert (house.call().outcome, house.phone()) == ("given_up", [])
    with org_scope(house.clinic.id):
        assert StaffTask.objects.count() == 1


def test_a_call_that_went_on_to_the_assistant_is_judged_by_that_leg(house: House) -> None:
    set_up(
        house.clinic,
        mode=PhoneNumber.Mode.FORWARD_THEN_ASSISTANT,
        assistant_address="sip:assistant@sip.vapi.ai",
    )
    house.rings(outcomes=["no-answer", "answered"], lose_status=True)
    assert (house.call().outcome, house.call().stage) == ("answered", "assistant")
    house.rings(outcomes=["no-answer", "failed"])
    assert [call.outcome for call in house.calls()] == ["answered", "missed"]


def test_between_line_and_assistant_the_poller_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clinic's leg has ended, and the caller hears the assistant's phone ring in a moment."""
    set_up(
        house.clinic,
        mode=PhoneNumber.Mode.FORWARD_THEN_ASSISTANT,
        assistant_address="sip:assistant@sip.vapi.ai",
    )
    house.rings(**UNHEARD)
    house.grow_older(seconds=32)
    legs = [Leg("CA" + "1" * 32, "no-answer", None, None)]
    monkeypatch.setattr("telephony.missed_calls.polling.dialled_legs", lambda *_: legs)
    monkeypatch.setattr("telephony.missed_calls.polling.status_of", lambda *_: "in-progress")
    assert poll() == Round(still_active=1)
    monkeypatch.setattr("telephony.missed_calls.polling.status_of", lambda *_: "completed")
    assert poll() == Round(processed=1, missed=1)


def test_whisper_accepted_refused_and_ignored(house: House) -> None:
    set_up(house.clinic, whisper=True)
    for serial, (digits, outcome) in enumerate((("1", "answered"), ("2", "missed"), ("", "missed"))):
        caller = f"+1415555020{serial}"
        house.rings("answered", caller, whisper_digits=digits)
        (call,) = [call for call in house.calls() if call.from_number == caller]
        assert call.outcome == outcome, digits
        assert len(house.phone(caller)) == (outcome == "missed")


def test_whisper_ignored_is_seen_by_the_poller_too(house: House) -> None:
    set_up(house.clinic, whisper=True)
    house.rings("voicemail", whisper_digits="", **UNHEARD)
    house.grow_older(seconds=32)
    assert poll() == Round(processed=1, missed=1)


def test_a_caller_who_rings_five_times_gets_one_text(house: House) -> None:
    for _ in range(5):
        house.rings()
    assert len(house.phone()) == 1
    assert [call.text for call in house.calls()] == ["queued", *["cool_down"] * 4]


def test_a_withheld_number_gets_no_text(house: House) -> None:
    house.rings(caller="anonymous")
    assert house.call().text == "withheld"
    assert house.texts() == []


def test_a_caller_who_opted_out_gets_no_text(house: House) -> None:
    from messaging.manners import consent

    with org_scope(house.clinic.id):
        consent.record(
            house.clinic.id, sender=house.clinic.number, recipient=CALLER, opted_out=True, source="keyword"
        )
    house.rings()
    assert house.phone() == []
    assert house.call().text == "suppressed"


def test_who_asks_for_texts_again_gets_the_next_one(house: House) -> None:
    """A text that was kept back begins no pause."""
    from messaging.manners import consent

    number = house.clinic.number
    for opted_out in (True, False):
        with org_scope(house.clinic.id):
            consent.record(
                house.clinic.id, sender=number, recipient=CALLER, opted_out=opted_out, source="keyword"
            )
        house.rings()
    assert len(house.phone()) == 1
    assert [call.text for call in house.calls()] == ["suppressed", "queued"]


def test_a_caller_whom_the_agents_tools_served_gets_no_text(house: House) -> None:
    """Also where no word of Vapi's said that they were talking."""
    with org_scope(house.clinic.id):
        call = Call.objects.create(org_id=house.clinic.id, vapi_call_id="served", from_number=CALLER)
        ToolInvocation.objects.create(org_id=house.clinic.id, call=call, tool_call_id="1", tool="takeMessage")
        # It was put through to the agent after it had rung here.
        Call.objects.filter(pk=call.pk).update(created_at=timezone.now() + timedelta(minutes=1))
    house.rings()
    assert house.phone() == []
    assert house.call().text == "got_through"


def test_a_text_that_fails_at_first_arrives_once(house: House) -> None:
    house.sandbox.fault(
        "server_error_with_body", match={"path": "/Messages"}, count=2, code=20500, status=500
    )
    house.rings()
    assert house.phone() == []
    for _ in range(2):
        house.make_due()
        house.deliver()
    assert len(house.phone()) == 1


def test_a_text_that_cannot_be_written_leaves_the_call_unsettled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call counts as handled only when its text is durable."""

    def refused(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the outbox is out of order")

    with monkeypatch.context() as broken:
        broken.setattr("telephony.missed_calls.text_backs.enqueue", refused)
        house.rings(lose_status=True)
        assert not house.call().processed
    house.grow_older(seconds=32)
    assert poll() == Round(processed=1, missed=1)
    assert len(house.phone()) == 1


def test_the_words_are_others_after_hours(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for opened, kind in ((True, "missed_call"), (False, "missed_call_after_hours")):
        monkeypatch.setattr("telephony.missed_calls.text_backs.is_open", lambda *_, told=opened: told)
        caller = "+14155550171" if opened else "+14155550172"
        house.rings(caller=caller)
        (text,) = [text for text in house.texts() if text.recipient == caller]
        assert text.kind == kind


def ring_without_database(house: House, monkeypatch: pytest.MonkeyPatch, **script: Any) -> None:
    """A call whose every webhook finds the database away."""

    def away(*_: Any) -> Any:
        raise OperationalError("the database is away")

    line_keeping.refresh_all()
    with monkeypatch.context() as outage:
        outage.setattr("telephony.twilio.voice_view.clinic_dialled_at", away)
        house.rings(**script)
    assert house.calls() == []


def test_whoever_was_missed_while_the_database_was_away_is_texted_when_it_is_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring_without_database(house, monkeypatch)
    poll_from_outside()
    assert not house.call().processed, "it is younger than 31 s"
    house.grow_older(seconds=32)
    assert poll_from_outside()["missedDetected"] == 1
    assert len(house.phone()) == 1
    assert list(unheard_calls.folder().iterdir()) == []


def test_whoever_was_answered_meanwhile_is_not(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ring_without_database(house, monkeypatch, outcome="answered")
    assert unheard_calls.take_in() == 1
    house.grow_older(seconds=32)
    assert poll() == Round(processed=1)
    assert (house.call().outcome, house.phone()) == ("answered", [])


def test_calls_written_down_long_ago_or_unreadable_are_dropped(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring_without_database(house, monkeypatch)
    unheard_calls.folder().joinpath("x.call").write_text("no call")
    with time_machine.travel(timezone.now() + timedelta(hours=3)):
        assert unheard_calls.take_in() == 0
    assert list(unheard_calls.folder().iterdir()) == []
    assert house.calls() == []


def test_what_was_found_is_counted_by_its_path(house: House) -> None:
    def counted() -> tuple[int, int, int]:
        sums = metrics.store.read()
        texts = sum(value for field, value in sums.items() if field[0] == "missed_call_text_seconds")
        fast, again = ("missed_calls_total", "fast"), ("duplicates_prevented_total", "missed_call")
        return sums.get(fast, 0), sums.get(again, 0), texts

    before = counted()
    house.rings(repeat_dial_result=3)
    house.deliver()
    fast, again, texts = (now - then for now, then in zip(counted(), before, strict=True))
    assert (fast, again) == (1, 2)
    assert texts > 0


@pytest.mark.parametrize("path", [POLLED, "/api/cron/cleanup-old-calls"])
def test_the_cron_addresses_want_their_secret(house: House, path: str) -> None:
    client = Client()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
        assert client.post(path, headers=headers).status_code == 401
    right = {"Authorization": f"Bearer {settings.CRON_SECRET}"}
    assert client.post(path, headers=right).status_code == 200
    assert client.put(path, headers=right).status_code == 405


def test_settled_calls_go_after_seven_days_and_unsettled_ones_never(house: House) -> None:
    house.rings()
    house.rings(**UNHEARD)
    house.rings()
    eight_days_ago = timezone.now() - timedelta(days=8)
    with org_scope(house.clinic.id):
        for call in house.calls()[:2]:
            ActiveCall.objects.filter(pk=call.pk).update(
                created_at=eight_days_ago, **({"processed_at": eight_days_ago} if call.processed else {})
            )
    right = {"Authorization": f"Bearer {settings.CRON_SECRET}"}
    for method in ("delete", "post"):
        deleted = getattr(Client(), method)("/api/cron/cleanup-old-calls", headers=right).json()
        assert deleted == {"deleted": 1 if method == "delete" else 0}
    assert [call.processed for call in house.calls()] == [False, True]


def test_the_start_page_tells_how_calls_were_settled(house: House, settings: Any) -> None:
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    house.rings()
    house.rings()
    house.rings("answered", "+14155550143", **UNHEARD)
    house.deliver()
    house.grow_older(seconds=32)
    poll()
    client = Client()
    client.force_login(house.clinic.staff["viewer"], backend="voxanne.tenancy.permissions.MembershipBackend")
    page = " ".join(client.get("/admin/").content.decode().split())
    for told in ("2 (67 %)", "1 (33 %)", "1 texted back", "To do at the desk"):
        assert told in page, told
    listed = client.get("/admin/telephony/activecall/").content.decode()
    assert CALLER not in listed
    assert "•••" in listed
