"""WhatsApp on the staff pages: switched on by operations, worded by managers, seen by everybody."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from messaging.manners import consent
from messaging.models import Contact, InboundMessage, OptOut, SenderAccount, WhatsAppTemplate
from messaging.sending import whatsapp
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from tests.staff.rows import dead_letter, furnish
from tests.staff.test_dead_letters import YES, trail
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import org_scope, platform_scope

SID = "HX" + "a" * 32
NUMBER = "+14155569900"
NEW = "+14155569902"
PATIENT = "+14155550142"
TEMPLATES = "/admin/messaging/whatsapptemplate"


@pytest.fixture
def manager(elm: Clinic, sign_in: SignIn) -> Client:
    return sign_in(elm.staff["manager"])


def one(model: type[Any], **values: Any) -> Any:
    with platform_scope("check"):
        return model.objects.filter(**values).first()


def switch_on(clinic: Clinic, **more: Any) -> SenderAccount:
    with org_scope(clinic.id):
        sender = SenderAccount.objects.get()
        sender.whatsapp_number, sender.whatsapp_on = NUMBER, True
        for name, value in more.items():
            setattr(sender, name, value)
        sender.save()
    return sender


def page_of(sender: SenderAccount, act: str = "change") -> str:
    return f"/admin/messaging/senderaccount/{sender.pk}/{act}/"


# Templates


def test_a_manager_says_which_template_is_for_what(manager: Client, elm: Clinic) -> None:
    form = {"kind": "confirmation", "content_sid": SID, "variables": "clinic, {date}, Time"}
    assert manager.post(f"{TEMPLATES}/add/", form).status_code == 302
    made = one(WhatsAppTemplate)
    assert (made.org_id, made.content_sid, made.variables) == (elm.id, SID, ["clinic", "date", "time"])
    assert "clinic, date, time" in manager.get(f"{TEMPLATES}/").content.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"content_sid": "HX1"}, "A Content SID is HX"),
        ({"variables": "clinic, name"}, "is not filled in"),
        ({"kind": "missed_call", "variables": "clinic, time"}, "is not known for this kind of text"),
    ],
)
def test_a_template_that_would_be_refused_is_not_kept(
    manager: Client, changes: dict[str, str], said: str
) -> None:
    form = {"kind": "confirmation", "content_sid": SID, "variables": "clinic", **changes}
    page = manager.post(f"{TEMPLATES}/add/", form)
    assert page.status_code == 200
    assert said in page.content.decode()
    assert one(WhatsAppTemplate) is None


def test_reception_looks_at_templates_and_leaves_them(elm: Clinic, sign_in: SignIn) -> None:
    reception = sign_in(elm.staff["receptionist"])
    assert reception.get(f"{TEMPLATES}/").status_code == 200
    assert reception.get(f"{TEMPLATES}/add/").status_code == 403


# The sender


def test_operations_switches_it_on(operator: User, sign_in: SignIn, elm: Clinic) -> None:
    operating, sender = sign_in(operator), one(SenderAccount, org=elm.org)
    assert not sender.whatsapp_on, "off unless somebody turns it on"
    form = {"number": sender.number, "whatsapp_on": "on", "whatsapp_number": "(415) 556-9900"}
    assert operating.post(page_of(sender), form).status_code == 302
    kept = one(SenderAccount, org=elm.org)
    assert (kept.whatsapp_on, kept.whatsapp_number) == (True, NUMBER)


@pytest.mark.parametrize(("number", "said"), [("", "Give the number"), ("12", "no complete phone number")])
def test_it_is_not_switched_on_without_a_number(
    operator: User, sign_in: SignIn, elm: Clinic, number: str, said: str
) -> None:
    operating, sender = sign_in(operator), one(SenderAccount, org=elm.org)
    form = {"number": sender.number, "whatsapp_on": "on", "whatsapp_number": number}
    page = operating.post(page_of(sender), form)
    assert page.status_code == 200
    assert said in page.content.decode()


def test_another_clinics_number_is_refused_in_words(
    operator: User, sign_in: SignIn, elm: Clinic, oak: Clinic
) -> None:
    operating, sender = sign_in(operator), one(SenderAccount, org=elm.org)
    page = operating.post(page_of(sender), {"number": sender.number, "whatsapp_number": oak.number})
    assert "This number belongs to another clinic." in page.content.decode()
    switch_on(oak)
    page = operating.post(page_of(sender), {"number": sender.number, "whatsapp_number": NUMBER})
    assert page.status_code == 200, "the other clinic has it at WhatsApp"
    assert one(SenderAccount, org=elm.org).whatsapp_number == ""


def says(clinic: Clinic, number: str, *, opted_out: bool) -> None:
    with org_scope(clinic.id):
        consent.record(
            clinic.id, sender=f"whatsapp:{number}", recipient=PATIENT, opted_out=opted_out, source="keyword"
        )


def is_silent(clinic: Clinic, number: str) -> bool:
    with org_scope(clinic.id):
        return consent.has_opted_out(clinic.id, sender=f"whatsapp:{number}", recipient=PATIENT)


@pytest.mark.parametrize("between", [(), ("",)])
def test_a_clinic_that_changes_its_whatsapp_number_takes_its_stops_along(
    operator: User, sign_in: SignIn, elm: Clinic, oak: Clinic, between: tuple[str, ...]
) -> None:
    operating, sender = sign_in(operator), switch_on(elm, whatsapp_on=False)
    says(elm, NUMBER, opted_out=True)
    says(oak, NUMBER, opted_out=True)
    for number in (*between, NEW):
        form = {"number": sender.number, "whatsapp_number": number}
        assert operating.post(page_of(sender), form).status_code == 302
    assert is_silent(elm, NEW)
    assert not is_silent(oak, NEW)
    says(elm, NEW, opted_out=False)
    assert operating.post(page_of(sender), {**form, "whatsapp_on": "on"}).status_code == 302
    assert not is_silent(elm, NEW), "what they said since stands"


def test_a_manager_cannot_switch_it_on(manager: Client, elm: Clinic) -> None:
    sender = one(SenderAccount, org=elm.org)
    assert manager.post(page_of(sender), {"whatsapp_on": "on", "whatsapp_number": NUMBER}).status_code == 403


@pytest.mark.parametrize(
    ("role", "answer"), [("owner", 302), ("manager", 302), ("receptionist", 403), ("viewer", 403)]
)
def test_managers_pause_and_resume_it_and_nobody_below(
    elm: Clinic, sign_in: SignIn, role: str, answer: int
) -> None:
    client, sender = sign_in(elm.staff[role]), switch_on(elm)
    paused = client.post(page_of(sender, "pause_whatsapp"), {**YES, "reason": "It moves."})
    assert paused.status_code == answer
    kept = one(SenderAccount, org=elm.org)
    assert kept.whatsapp_paused_reason == ("It moves." if answer == 302 else "")
    assert kept.paused_reason == "", "texts go on"
    assert client.post(page_of(sender, "resume_whatsapp"), {**YES, "reason": "Moved."}).status_code == answer
    assert one(SenderAccount, org=elm.org).whatsapp_paused_reason == ""
    reasons = [line.reason for act in ("pause", "resume") for line in trail(f"whatsapp.{act}")]
    assert reasons == (["It moves.", "Moved."] if answer == 302 else [])


def test_nothing_is_resumed_by_looking(manager: Client, elm: Clinic) -> None:
    sender = switch_on(elm, whatsapp_paused_reason="Gone.")
    assert manager.get(page_of(sender, "resume_whatsapp")).status_code == 200
    assert one(SenderAccount, org=elm.org).whatsapp_paused_reason == "Gone."


# What is seen


def test_lists_tell_the_channel_and_can_be_narrowed_to_it(manager: Client, elm: Clinic) -> None:
    furnished = furnish(elm)
    with platform_scope("test data"):
        by_whatsapp = dead_letter(furnished, channel="whatsapp", sender=f"whatsapp:{NUMBER}", segments=0)
        InboundMessage.objects.update(channel="whatsapp", profile_name="Dana R.")
        OptOut.objects.update(sender=f"whatsapp:{NUMBER}")
    listed = manager.get("/admin/messaging/message/?channel__exact=whatsapp").content.decode()
    assert str(by_whatsapp.pk) in listed
    assert str(furnished.rows[0].pk) not in listed
    page = manager.get(f"/admin/messaging/message/{by_whatsapp.pk}/change/").content.decode()
    assert "Not counted by WhatsApp" in page
    inbound = one(InboundMessage, org=elm.org)
    assert "Dana R." in manager.get(f"/admin/messaging/inboundmessage/{inbound.pk}/change/").content.decode()
    assert "WhatsApp" in manager.get("/admin/messaging/optout/").content.decode()


def test_who_tells_staff_that_they_want_whatsapp_has_agreed(elm: Clinic, sign_in: SignIn) -> None:
    reception = sign_in(elm.staff["receptionist"])
    with org_scope(elm.id):
        contact = Contact.objects.create(org=elm.org, phone="+14155550142", name="Dana")
    form = {"name": "Dana", "phone": "+14155550142", "language": "en", "preferred_channel": "whatsapp"}
    assert reception.post(f"/admin/messaging/contact/{contact.pk}/change/", form).status_code == 302
    kept = one(Contact, pk=contact.pk)
    assert (kept.preferred_channel, kept.whatsapp_consent_source) == ("whatsapp", "told staff")
    at = kept.whatsapp_consent_at
    assert at is not None
    reception.post(f"/admin/messaging/contact/{contact.pk}/change/", {**form, "name": "Dana R."})
    assert one(Contact, pk=contact.pk).whatsapp_consent_at == at, "agreed once"


def test_a_pause_by_whatsapps_own_fault_is_told_on_the_start_page(manager: Client, elm: Clinic) -> None:
    switch_on(elm)
    whatsapp.pause(elm.id, "The channel refused the sender.")
    assert "The channel refused the sender." in manager.get("/admin/").content.decode()
