"""The patient's page as a telephone and a desk show it: it fits, it reads, and nothing on it is blocked."""

from __future__ import annotations

import os
from datetime import time
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from bookings.booking import Booked, NewTime, Wish, book, cancel, reschedule
from bookings.models import Appointment
from bookings.patient_token import token_for
from bookings.states import AppointmentSource
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

WIDTHS = (390, 1440)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# The least a person with moderately low vision needs (WCAG 2.2, success criterion 1.4.3).
LEAST_CONTRAST = 4.5

# Every text on the page against what lies behind it.
CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (colour) => {
    const [r, g, b] = [...rgba(colour)].slice(0, 3).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.body.querySelectorAll('*')]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((element) => {
    const pair = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
    return [element.textContent.trim(), (pair[0] + 0.05) / (pair[1] + 0.05)];
  });
}"""


def booked(clinic: Clinic) -> Booked:
    wish = Wish(
        day=clinic.next_weekday(), at=time(10), source=AppointmentSource.VOICE, patient_name="Dana Ruiz",
        phone="+14155550142",
    )  # fmt: skip
    with org_scope(clinic.id):
        return book(clinic.plan(), wish)


def visit(clinic: Clinic, made: Booked) -> Appointment:
    with org_scope(clinic.id):
        return Appointment.objects.select_related("contact").get(pk=made.appointment_id)


def at(clinic: Clinic, standing: str) -> str:
    """The address of a visit that stands so."""
    made = booked(clinic)
    with org_scope(clinic.id):
        if standing == "cancelled":
            cancel(clinic.plan(), visit(clinic, made), reason="")
        if standing == "moved":
            to = NewTime(clinic.next_weekday(1), time(14, 30), AppointmentSource.VOICE)
            reschedule(clinic.plan(), visit(clinic, made), to)
    return f"/a/{token_for(made.appointment_id, 1)}"


def keep_picture(page: Page, name: str) -> None:
    """For people who look at it: in the directory that PATIENT_PAGE_PICTURES names, if it names one."""
    if os.environ.get("PATIENT_PAGE_PICTURES"):
        page.screenshot(path=str(Path(os.environ["PATIENT_PAGE_PICTURES"]) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("standing", ["booked", "moved", "cancelled"])
def test_the_page_fits_and_reads_on_a_telephone_and_at_a_desk(
    page: Page, live_server: Any, clinic: Clinic, standing: str
) -> None:
    fits_and_reads(page, live_server.url + at(clinic, standing), standing)


def test_the_page_for_a_wrong_link_fits_and_reads_too(
    browser: Browser, live_server: Any, transactional_db: None
) -> None:
    # A window of its own: Chromium reports the page's 404 as an error, and here it is none.
    page = browser.new_page()
    fits_and_reads(page, f"{live_server.url}/a/unknown", "unknown")
    page.close()


def fits_and_reads(page: Page, address: str, name: str) -> None:
    """In both widths and both colour schemes."""
    for width in WIDTHS:
        for scheme in SCHEMES:
            page.set_viewport_size({"width": width, "height": 844 if width < 500 else 900})
            page.emulate_media(color_scheme=scheme)
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            contrasts = page.evaluate(CONTRASTS)
            assert contrasts
            assert [(text, ratio) for text, ratio in contrasts if ratio < LEAST_CONTRAST] == []
            small = page.evaluate(
                "[...document.querySelectorAll('a')].filter(a => a.offsetHeight < 44).length"
            )
            assert small == 0, "a thumb needs 44 pixels"
            keep_picture(page, f"{name}-{width}-{scheme}")


def test_the_calendar_button_brings_the_file(page: Page, live_server: Any, clinic: Clinic) -> None:
    page.goto(live_server.url + at(clinic, "booked"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Add to my calendar").click()
    assert download.value.suggested_filename == "visit.ics"
    assert "BEGIN:VEVENT" in Path(download.value.path()).read_text()


def test_the_keyboard_reaches_both_buttons_in_order(page: Page, live_server: Any, clinic: Clinic) -> None:
    page.goto(live_server.url + at(clinic, "booked"))
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText"))
    assert reached[0] == "Add to my calendar"
    assert reached[1].startswith("Call +1")
