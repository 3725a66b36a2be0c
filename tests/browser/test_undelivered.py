"""The journey that dead letters are for: texts die, somebody sees why, mends it, sends them again, sees them arrive.

Everything is real but the worker, which the test plays: the pages, the texts over HTTP to a Twilio of the test's own,
and its signed receipts to the live server.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from messaging import outbox
from messaging.models import Contact, Message
from messaging.providers.twilio.codes import spoken_reason
from messaging.sending.delivery import SMS_DELIVERY
from messaging.sending.waits import RETRY_WAITS
from messaging.states import MessageKind
from messaging.undelivered.bulk_acts import BULK_ACT
from tests.browser.conftest import sign_in
from tests.clinics import Clinic
from tests.sandbox.running import RunningSandbox
from voxanne.durable import work
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope, platform_scope

LANDLINE = "+14155550177"
PATIENTS = {"+14155550142": "Sam Okafor", "+14155550143": "Dana Ruiz", "+14155550144": "Lena Novak"}
CARRIER = spoken_reason(30008)
ROWS = "#result_list tbody"
WORDS = "Elm Street: you are booked for Tuesday at nine."


@pytest.fixture
def twilio(sandbox: RunningSandbox, settings: Any, live_server: Any) -> RunningSandbox:
    """Twilio, which takes our texts and tells the live server what becomes of them."""
    settings.TWILIO_API_BASE_URL = f"{sandbox.url}/twilio"
    settings.BACKEND_URL = str(live_server)
    sandbox.control("/settings", {"step_seconds": 0.02})
    return sandbox


def write(clinic: Clinic, number: str, name: str) -> UUID:
    with org_scope(clinic.id):
        contact = Contact.objects.create(org=clinic.org, phone=number, name=name)
        written = outbox.enqueue(
            org_id=clinic.id, kind=MessageKind.CONFIRMATION, recipient=number, body=f"{WORDS} {name}",
            contact_id=contact.pk, dedupe_key=f"to-{number}", expires_at=timezone.now() + timedelta(days=1),
        )  # fmt: skip
    assert written.message_id is not None
    return written.message_id


def work_off(kind: Any) -> None:
    """What the worker does."""
    while (claimed := work.claim_next(kind)) is not None:
        work.perform(kind, claimed)


def states(clinic: Clinic) -> list[str]:
    with org_scope(clinic.id):
        return sorted(Message.objects.values_list("state", flat=True))


def settled(twilio: RunningSandbox, clinic: Clinic, *wanted: str) -> None:
    """Waits for Twilio's receipts to bring the texts there."""
    twilio.wait_for(lambda: states(clinic) == sorted(wanted), 15)


@pytest.fixture
def died(clinic: Clinic, twilio: RunningSandbox) -> dict[str, UUID]:
    """A landline refused at once, and three texts that a carrier's fault kept from arriving."""
    twilio.fault("refused_permanent", code=21614, match={"to": LANDLINE})
    for number in PATIENTS:
        twilio.fault("undelivered", code=30008, match={"to": number})
    texts = {number: write(clinic, number, name) for number, name in PATIENTS.items()}
    texts[LANDLINE] = write(clinic, LANDLINE, "Priya Shah")
    with org_scope(clinic.id):
        # Tried before as often as this fault is tried by itself.
        Message.objects.filter(recipient__in=PATIENTS).update(attempts=len(RETRY_WAITS))
    work_off(SMS_DELIVERY)
    settled(twilio, clinic, *["dead_letter"] * 4)
    return texts


def find_those_with_one_reason(page: Page) -> None:
    menu = page.get_by_role("link", name="Undelivered texts")
    expect(menu.first).to_contain_text("4")
    menu.first.click()
    expect(page.locator(ROWS)).to_have_count(4)
    page.get_by_role("link", name=f"{CARRIER} (30008)").click()
    expect(page.locator(ROWS)).to_have_count(3)
    expect(page.locator(ROWS).first).to_contain_text("May help")


def read_why(page: Page, clinic: Clinic) -> None:
    """What was asked of Twilio and what it answered; nobody's number, and no words."""
    page.locator(f"{ROWS} a").first.click()
    main = page.get_by_role("main")
    expect(main).to_contain_text(CARRIER)
    expect(main).to_contain_text("What stood in its way may have passed by now.")
    tries = page.locator("#tries-group")
    expect(tries).to_contain_text("characters in 1 segment (GSM-7)")
    expect(tries).to_contain_text("HTTP 201")
    expect(tries).to_contain_text("then undelivered, code 30008")
    expect(tries).to_contain_text(f"from •••{clinic.number[-4:]}")
    assert "4155550" not in tries.inner_text()
    assert "booked" not in tries.inner_text()


def send_this_one_again(page: Page, why: str) -> None:
    page.get_by_role("link", name="Send again").click()
    dialog = page.get_by_role("dialog", name="Send this text again?")
    dialog.get_by_label("Reason").fill(why)
    dialog.get_by_role("button", name="Yes, send it again").click()
    expect(page.get_by_text("The text waits to be sent again.")).to_be_visible()


def send_all_again(page: Page, number: int, why: str) -> None:
    page.get_by_role("link", name=f"Send all {number} again").click()
    expect(page.get_by_role("heading", name="Send all of these again?").first).to_be_visible()
    page.get_by_label("Reason").fill(why)
    page.get_by_role("button", name="Yes, send them again").click()


def test_texts_that_died_are_understood_mended_and_sent_again(
    page: Page, live_server: Any, clinic: Clinic, twilio: RunningSandbox, died: dict[str, UUID]
) -> None:
    sign_in(page, str(live_server), "elm-street-manager")
    find_those_with_one_reason(page)
    read_why(page, clinic)

    # The carrier has mended it; one is tried first, and its page shows that it arrives.
    twilio.control("/faults", method="DELETE")
    send_this_one_again(page, "The carrier says it is mended")
    work_off(SMS_DELIVERY)
    settled(twilio, clinic, "delivered", *["dead_letter"] * 3)
    page.reload()
    main = page.get_by_role("main")
    expect(main).to_contain_text("It arrived.")
    expect(page.get_by_role("link", name="Send again")).to_have_count(0)

    # Then all others with that reason, the landline left out. Their page looks again by itself.
    page.goto(f"{live_server}/admin/messaging/deadletter/?why=30008")
    send_all_again(page, 2, "The first one arrived")
    expect(main).to_contain_text("0 of 2 (0 %)")
    work_off(BULK_ACT)
    expect(main).to_contain_text("2 of 2 (100 %)")
    work_off(SMS_DELIVERY)
    settled(twilio, clinic, "dead_letter", *["delivered"] * 3)
    page.goto(f"{live_server}/admin/messaging/deadletter/")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS).first).to_contain_text("Will not help")
    expect(page.locator(ROWS).first).to_contain_text("Priya Shah")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Export").click()
    text = downloaded.value.path().read_text(encoding="utf-8-sig")
    assert text.count("\n") == 2
    assert "4155550" not in text

    with platform_scope("check"):
        reasons = sorted(AuditEntry.objects.filter(action="message.redrive").values_list("reason", flat=True))
    assert reasons == ["The carrier says it is mended", "The first one arrived", "The first one arrived"]
    for number in PATIENTS:
        statuses = [text["status"] for text in twilio.texts(number)]
        assert statuses == ["undelivered", "delivered"], "each was sent once more, and no more"


def test_a_receptionist_reads_why_and_whom_to_ask(
    page: Page, live_server: Any, clinic: Clinic, twilio: RunningSandbox, died: dict[str, UUID]
) -> None:
    sign_in(page, str(live_server), "elm-street-receptionist")
    page.goto(f"{live_server}/admin/messaging/deadletter/")
    expect(page.get_by_text("is done by elm-street-manager (manager)")).to_be_visible()
    expect(page.get_by_role("link", name="Send all")).to_have_count(0)
    expect(page.get_by_role("button", name="Send again")).to_have_count(0)
    expect(page.get_by_role("link", name="Export")).to_have_count(0)
    assert states(clinic) == ["dead_letter"] * 4


def test_an_undelivered_text_is_sent_again_on_a_phone(
    page: Page, live_server: Any, clinic: Clinic, twilio: RunningSandbox, died: dict[str, UUID]
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, str(live_server), "elm-street-owner")
    for address in ("/admin/messaging/deadletter/", "/admin/messaging/deadletter/redrive-all/",
                    f"/admin/messaging/deadletter/{died[LANDLINE]}/change/", "/admin/messaging/bulkact/"):  # fmt: skip
        page.goto(f"{live_server}{address}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), address
    page.goto(f"{live_server}/admin/messaging/deadletter/?why=30008")
    page.get_by_role("button", name="Send again", exact=True).first.click()
    dialog = page.get_by_role("dialog", name="Send this text again?")
    dialog.get_by_label("Reason").fill("Mended")
    dialog.get_by_role("button", name="Yes, send it again").click()
    expect(page.get_by_text("The text waits to be sent again.")).to_be_visible()
    expect(page.locator("#result_list tbody")).to_have_count(2)
