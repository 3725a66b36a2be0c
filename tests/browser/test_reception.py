from __future__ import annotations

from playwright.sync_api import Page, expect

from bookings.models import Appointment
from messaging.models import Message
from tests.browser.conftest import sign_in
from tests.staff.rows import Furnished
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope, platform_scope


def test_a_receptionist_cancels_a_visit_with_a_reason(
    page: Page, live_server: object, furnished: Furnished
) -> None:
    sign_in(page, str(live_server), "elm-street-receptionist")
    page.get_by_role("link", name="Appointments").first.click()
    page.locator("#result_list tbody a").first.click()
    page.get_by_role("link", name="Cancel visit").click()

    dialog = page.get_by_role("dialog", name="Cancel this visit?")
    reason = dialog.get_by_label("Reason")
    expect(reason).to_be_focused()
    dialog.get_by_role("button", name="Yes, cancel it").click()
    expect(dialog).to_contain_text("This field is required.")

    dialog.get_by_label("Reason").fill("Patient rang to cancel")
    dialog.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_text("The visit is cancelled.")).to_be_visible()
    expect(page.locator(".field-status_badge, .form-row").get_by_text("Cancelled").first).to_be_visible()
    expect(page.get_by_role("link", name="Cancel visit")).to_have_count(0)

    with platform_scope("check"):
        visit = Appointment.objects.get()
        assert (visit.status, visit.cancel_reason) == ("cancelled", "Patient rang to cancel")
        assert Message.objects.get(kind="cancelled").state == "queued"
        assert AuditEntry.objects.get(action="appointment.cancel").reason == "Patient rang to cancel"


def test_an_operator_redrives_a_dead_letter_by_keyboard_alone(
    page: Page, live_server: object, furnished: Furnished, operator: object
) -> None:
    sign_in(page, str(live_server), "operator")
    page.goto(f"{live_server}/admin/messaging/message/?state__exact=dead_letter")
    redrive = page.get_by_role("button", name="Send again", exact=True)
    for _ in range(120):
        page.keyboard.press("Tab")
        if redrive.evaluate("button => button === document.activeElement"):
            break
    expect(redrive).to_be_focused()
    page.keyboard.press("Enter")

    dialog = page.get_by_role("dialog", name="Send this text again?")
    yes = dialog.get_by_role("button", name="Yes, send it again")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("The fault is mended")
    for _ in range(6):
        if yes.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(yes).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_text("The text waits to be sent again.")).to_be_visible()
    with platform_scope("check"):
        message = Message.objects.get()
        assert (message.state, message.attempts) == ("queued", 0)


def test_a_dialog_is_left_with_escape_and_changes_nothing(
    page: Page, live_server: object, furnished: Furnished
) -> None:
    sign_in(page, str(live_server), "elm-street-manager")
    page.goto(f"{live_server}/admin/messaging/message/?state__exact=dead_letter")
    page.get_by_role("button", name="Discard", exact=True).click()
    dialog = page.get_by_role("dialog", name="Discard this text?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Discard", exact=True)).to_be_focused()
    with platform_scope("check"):
        assert Message.objects.get().state == "dead_letter"


def test_selected_texts_are_discarded_after_a_page_that_asks(
    page: Page, live_server: object, furnished: Furnished
) -> None:
    sign_in(page, str(live_server), "elm-street-owner")
    page.goto(f"{live_server}/admin/messaging/message/")
    page.get_by_label("Select record").first.check()
    page.get_by_label("Select action to run").select_option("discard_selected")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Discard these texts?").first).to_be_visible()
    page.get_by_label("Reason").fill("Carrier fault")
    page.get_by_role("button", name="Yes, discard them").click()
    expect(page.get_by_text("1 discarded.")).to_be_visible()


def test_everything_a_mouse_can_press_a_keyboard_can_reach(
    page: Page, live_server: object, furnished: Furnished
) -> None:
    """The theme's own menus are spans without a place in the tab order."""
    sign_in(page, str(live_server), "elm-street-owner")
    visit = furnished.one(Appointment)
    for address in (
        "/admin/",
        "/admin/messaging/message/",
        f"/admin/bookings/appointment/{visit.pk}/change/",
        f"/admin/bookings/provider/{furnished.clinic.providers[0].pk}/change/",
    ):
        page.goto(f"{live_server}{address}")
        expect(page.get_by_role("main")).to_be_visible()
        shut_out = page.evaluate(
            """() => [...document.querySelectorAll("[x-on\\\\:click]")]
                .filter((element) => element.tabIndex < 0 && element.checkVisibility() && element.textContent.trim())
                .map((element) => element.outerHTML.slice(0, 120))"""
        )
        assert shut_out == [], address
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_a_phone_shows_no_page_wider_than_itself(
    page: Page, live_server: object, furnished: Furnished
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, str(live_server), "elm-street-receptionist")
    message, visit = furnished.one(Message), furnished.one(Appointment)
    with org_scope(furnished.clinic.id):
        # A link has nowhere to break but where it must.
        Message.objects.filter(pk=message.pk).update(body=f"https://voxanne.example.com/a/{'A' * 60}")
    for address in (
        "/admin/",
        "/admin/messaging/message/",
        f"/admin/messaging/message/{message.pk}/change/",
        "/admin/bookings/appointment/add/",
        f"/admin/bookings/appointment/{visit.pk}/change/",
    ):
        page.goto(f"{live_server}{address}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), address


def test_a_phone_shows_the_pages_own_title(page: Page, live_server: object, furnished: Furnished) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, str(live_server), "elm-street-receptionist")
    title = page.locator("#header-inner h1")
    page.goto(f"{live_server}/admin/messaging/message/?q=nobody")
    expect(title.get_by_text("Messages").last).to_be_visible()
    page.goto(f"{live_server}/admin/bookings/appointment/{furnished.one(Appointment).pk}/change/")
    expect(title.locator("a:visible")).to_have_count(1)
    expect(title.locator("a").last).to_be_visible()
