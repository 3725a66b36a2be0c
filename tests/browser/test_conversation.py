"""A patient's telephone and the reception desk, side by side: real texts over real sockets, both ways."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as configured
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from messaging.contacts import upsert_contact
from messaging.conversation.models import Conversation
from messaging.manners import consent
from messaging.models import InboundMessage, Message, StaffTask
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from messaging.words.segments import measure, plain
from tests.browser.conftest import sign_in
from tests.clinics import Clinic
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.sandbox.running import RunningSandbox
from tests.telephony.webhooks import work_off
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

__all__ = ["sandbox", "sandbox_process"]

PATIENT, STRANGER = "+14155550142", "+14155550177"
LIST = "/admin/messaging/conversation/"
# The open page asks every 4 s, the list every 8.
BY_ITSELF = 20_000
SAMPLES = (
    "", "See you at nine.", "€" * 81, "x" * 160, "x" * 161, "é" * 71, "😀" * 36, "a" * 66 + "😀😀", "“Quoted” — and…",
    "ł" * 70, "{" * 80 + "}", "two\r\nlines\rof it", "  padded \t ", "½ pill, №5", "👩‍⚕️ will see you",
    "x" * 152 + "€" + "x" * 10,
)  # fmt: skip


@pytest.fixture
def wired(clinic: Clinic, live_server: Any, sandbox: RunningSandbox, settings: Any) -> RunningSandbox:
    """The clinic at a Twilio of this test's own, which reports to the live server."""
    settings.BACKEND_URL = str(live_server)
    settings.TWILIO_API_BASE_URL = f"{sandbox.url}/twilio"
    account = configured.TWILIO_ACCOUNT_SID
    sandbox.control("/twilio/accounts", {"sid": account, "auth_token": configured.TWILIO_AUTH_TOKEN})
    address = f"{live_server}/api/webhooks/twilio/sms"
    number = {"number": clinic.number, "name": "Elm Street", "sms_url": address, "account_sid": account}
    sandbox.control("/numbers", number)
    sandbox.control("/phones", {"number": PATIENT, "name": "Dana Ruiz"})
    return sandbox


@pytest.fixture(autouse=True)
def _left_in_peace(page: Page, clinic: Clinic) -> Iterator[None]:
    """An open page goes on asking, and must find the clinic there: it is left before the clinic goes."""
    yield
    page.goto("about:blank")


@pytest.fixture
def phone(browser: Browser, wired: RunningSandbox) -> Iterator[Page]:
    """The patient's phone."""
    page = browser.new_page()
    page.goto(f"{wired.url}/phone#phone={quote(PATIENT)}")
    yield page
    page.close()


def text_from(phone: Page, words: str) -> None:
    """The patient types and sends, and a worker takes the text in."""
    phone.get_by_label("Text back").fill(words)
    phone.get_by_role("button", name="Send").click()
    expect(phone.locator("#texts")).to_contain_text(words)
    expect(phone.get_by_label("Text back")).to_have_value("")
    RunningSandbox.wait_for(RunningSandbox.__new__(RunningSandbox), work_off)


def deliver(clinic: Clinic, wired: RunningSandbox) -> None:
    """What a worker does, until the phone has it and said so."""
    while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
        work.perform(SMS_DELIVERY, claimed)
    wired.wait_for(lambda: all(state == MessageState.DELIVERED for state in states(clinic)))


def states(clinic: Clinic) -> list[str]:
    with org_scope(clinic.id):
        return list(Message.objects.values_list("state", flat=True))


def test_a_text_appears_is_answered_and_the_answer_arrives(
    page: Page, phone: Page, live_server: Any, clinic: Clinic, wired: RunningSandbox
) -> None:
    with org_scope(clinic.id):
        upsert_contact(clinic.id, phone=PATIENT, name="Dana Ruiz")
    phone.goto(f"{wired.url}/phone")
    phone.goto(f"{wired.url}/phone#phone={quote(PATIENT)}")
    phone.reload()
    text_from(phone, "Can I come at 3pm instead?")

    sign_in(page, str(live_server), "elm-street-receptionist")
    page.get_by_role("link", name="Conversations").first.click()
    expect(page.get_by_text("1 new")).to_be_visible()
    page.get_by_role("link", name="Dana Ruiz").first.click()
    expect(page.get_by_role("log")).to_contain_text("Can I come at 3pm instead?")

    box, size = page.get_by_label("Your answer"), page.locator("#thread-size")
    expect(box).to_be_focused()
    box.fill("Yes, 3pm is yours ☺")
    expect(size).to_contain_text("1 segment (UCS-2, for its emoji or special letters), 19 of 70 used.")
    box.fill("Yes, 3pm is yours.")
    expect(size).to_contain_text("1 segment (GSM-7), 18 of 160 used.")
    page.get_by_role("button", name="Send").dblclick()
    expect(page.locator(".thread-ours")).to_have_count(1)
    expect(page.locator(".thread-ours")).to_contain_text("Waiting")

    deliver(clinic, wired)
    expect(phone.locator("#texts")).to_contain_text("Yes, 3pm is yours.")
    expect(page.locator(".thread-ours")).to_contain_text("Delivered", timeout=BY_ITSELF)

    text_from(phone, "Lovely, thank you!")
    expect(page.get_by_role("log")).to_contain_text("Lovely, thank you!", timeout=BY_ITSELF)
    page.get_by_role("button", name="No answer needed").click()
    expect(page.get_by_text("It no longer waits for an answer.")).to_be_visible()
    with org_scope(clinic.id):
        row = Conversation.objects.get()
        assert (row.number, row.waiting_since, row.unread) == (PATIENT, None, 0)
        notes = StaffTask.objects.order_by("created_at").values_list("note", flat=True)
        assert list(notes) == ["Answered by text.", "Needs no answer."]
        assert Message.objects.count() == 1


def test_who_opts_out_while_an_answer_is_written_leaves_its_words_in_the_box(
    page: Page, phone: Page, live_server: Any, clinic: Clinic, wired: RunningSandbox
) -> None:
    text_from(phone, "Can I come at 3pm instead?")
    sign_in(page, str(live_server), "elm-street-receptionist")
    page.goto(f"{live_server}{LIST}")
    page.locator("#result_list tbody a").first.click()
    box, send = page.get_by_label("Your answer"), page.get_by_role("button", name="Send")
    box.fill("Yes, 3pm is yours.")
    expect(send).to_be_enabled()

    opt(clinic, out=True)
    expect(page.get_by_text("asked not to be texted")).to_be_visible(timeout=BY_ITSELF)
    expect(send).to_be_disabled()
    expect(box).to_have_value("Yes, 3pm is yours.")
    box.press("Control+Enter")
    box.fill("Yes, 3pm is yours!")
    expect(send).to_be_disabled()

    opt(clinic, out=False)
    expect(send).to_be_enabled(timeout=BY_ITSELF)
    expect(page.get_by_text("asked not to be texted")).to_be_hidden()
    expect(box).to_have_value("Yes, 3pm is yours!")
    assert states(clinic) == []


def opt(clinic: Clinic, *, out: bool) -> None:
    with org_scope(clinic.id):
        consent.record(
            clinic.id, sender=clinic.number, recipient=PATIENT, opted_out=out, source=consent.KEYWORD
        )


def test_a_list_left_open_shows_a_text_that_comes_in(
    page: Page, phone: Page, live_server: Any, clinic: Clinic, wired: RunningSandbox
) -> None:
    text_from(phone, "First")
    sign_in(page, str(live_server), "elm-street-receptionist")
    page.goto(f"{live_server}{LIST}")
    expect(page.locator("#result_list")).to_contain_text("First")
    text_from(phone, "Second")
    expect(page.locator("#result_list")).to_contain_text("Second", timeout=BY_ITSELF)


def test_a_number_without_a_contact_is_made_one(
    page: Page, live_server: Any, clinic: Clinic, wired: RunningSandbox
) -> None:
    wired.control("/twilio/inbound-text", {"from": STRANGER, "to": clinic.number, "body": "Who are you?"})
    wired.wait_for(work_off)
    sign_in(page, str(live_server), "elm-street-receptionist")
    page.goto(f"{live_server}{LIST}")
    page.locator("#result_list tbody a").first.click()
    page.get_by_text("Make a contact").click()
    page.get_by_label("Name").fill("<b>Sam</b> Okafor")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="<b>Sam</b> Okafor").first).to_be_visible()
    page.get_by_role("link", name="Contact", exact=True).click()
    page.get_by_role("link", name="Conversation", exact=True).click()
    expect(page.get_by_role("log")).to_contain_text("Who are you?")


def long_thread(clinic: Clinic, texts: int = 75) -> None:
    """A text of each side in turn, over a week, some of them as bad as they come."""
    now = timezone.now()
    with org_scope(clinic.id):
        contact = upsert_contact(clinic.id, phone=PATIENT, name="Dana Ruiz")
        for at in range(texts):
            moment = now - timedelta(hours=2 * (texts - at))
            if at % 2:
                put_ours(clinic, contact, at, moment)
            else:
                put_theirs(clinic, contact, at, moment)
        Conversation.objects.create(
            org=clinic.org, number=PATIENT, newest_at=now, waiting_since=now - timedelta(hours=3), unread=2
        )


def put_theirs(clinic: Clinic, contact: Any, at: int, moment: Any) -> None:
    words = {74: "Yes please! 😀 <script>alert(1)</script>", 72: "", 70: "longwithoutblanks" * 30}
    row = InboundMessage.objects.create(
        org=clinic.org, contact_id=contact, provider_sid=f"SM{at}", sender=PATIENT, recipient=clinic.number,
        body=words.get(at, f"Question {at}: may I come earlier, and is there somewhere to park?"),
        media=[{"url": "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1", "type": "image/jpeg"}]
        if at == 72 else [],
    )  # fmt: skip
    InboundMessage.objects.filter(pk=row.pk).update(created_at=moment)


def put_ours(clinic: Clinic, contact: Any, at: int, moment: Any) -> None:
    state = {73: "dead_letter", 71: "sent", 69: "expired"}.get(at, "delivered")
    row = Message.objects.create(
        org=clinic.org, contact_id=contact, kind="reply" if at % 3 else "confirmation", state=state,
        author=clinic.staff["receptionist"] if at % 3 else None,
        dedupe_key=f"k{at}", recipient=PATIENT, body=f"Answer {at}: yes, the car park is behind the house.",
        last_error="The phone is switched off or out of reach (30003)." if state == "dead_letter" else "",
        expires_at=moment + timedelta(hours=4), sent_at=moment if state != "expired" else None,
    )  # fmt: skip
    Message.objects.filter(pk=row.pk).update(created_at=moment)


def test_a_long_thread_shows_earlier_texts_and_keeps_its_place(
    page: Page, live_server: Any, clinic: Clinic
) -> None:
    long_thread(clinic)
    sign_in(page, str(live_server), "elm-street-receptionist")
    page.goto(f"{live_server}{LIST}")
    page.locator("#result_list tbody a").first.click()
    bubbles = page.locator(".thread-bubble")
    expect(bubbles).to_have_count(30)
    expect(bubbles.last).to_be_in_viewport()
    expect(bubbles.last).to_contain_text("<script>alert(1)</script>")
    for shown in (60, 75):
        page.get_by_role("link", name="Earlier texts").click()
        expect(bubbles).to_have_count(shown)
    expect(page.get_by_role("link", name="Earlier texts")).to_have_count(0)
    days = page.locator(".thread-day:visible").all_inner_texts()
    assert len(days) == len(set(days))
    # It refreshes itself meanwhile, and loses none of them.
    with page.expect_response(lambda answer: "since=" in answer.url, timeout=BY_ITSELF):
        pass
    expect(bubbles).to_have_count(75)


def test_the_page_counts_as_the_server_counts(page: Page, live_server: Any, clinic: Clinic) -> None:
    long_thread(clinic, 2)
    sign_in(page, str(live_server), "elm-street-receptionist")
    page.goto(f"{live_server}{LIST}")
    page.locator("#result_list tbody a").first.click()
    # The form is shown before the script that counts has run.
    page.wait_for_function("() => document.getElementById('thread-write')?.measured")
    for sample in SAMPLES:
        told = page.evaluate("text => document.getElementById('thread-write').measured(text)", sample)
        words = plain(sample.replace("\r\n", "\n").replace("\r", "\n").strip())
        size = measure(words)
        assert (told["body"], told["encoding"], told["units"], told["segments"]) == (
            words, size.encoding.value, size.units, size.segments,
        ), sample  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_conversations_fit_a_telephone_and_a_desk(
    page: Page, live_server: Any, clinic: Clinic, width: int, scheme: Any
) -> None:
    long_thread(clinic)
    page.set_viewport_size({"width": width, "height": 844 if width < 500 else 900})
    page.emulate_media(color_scheme=scheme)
    sign_in(page, str(live_server), "elm-street-receptionist")
    page.goto(f"{live_server}{LIST}")
    fits(page, f"list-{width}-{scheme}")
    page.locator("#result_list tbody a").first.click()
    expect(page.locator(".thread-bubble").last).to_be_in_viewport()
    page.get_by_label("Your answer").fill("We moved you to 3pm – see you then! 😀")
    expect(page.get_by_role("button", name="Send")).to_be_in_viewport()
    fits(page, f"thread-{width}-{scheme}")
    small = page.evaluate(
        "[...document.querySelectorAll('.thread a, .thread button')].filter(one => one.offsetHeight < 24).length"
    )
    assert small == 0


def fits(page: Page, name: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if os.environ.get("CONVERSATION_PICTURES"):
        page.screenshot(path=str(Path(os.environ["CONVERSATION_PICTURES"]) / f"conversation-{name}.png"))
