"""What a text or a task is about, as a link: the word before its colon says which page shows it."""

from __future__ import annotations

from django.utils.safestring import SafeString

from voxanne.staff.columns import NOTHING, link, page_of

PAGES = {
    "appointment": ("bookings_appointment", "The appointment"),
    "call": ("telephony_call", "The call"),
    "conversation": ("messaging_conversation", "The conversation"),
    "missed": ("telephony_activecall", "The missed call"),
    "texting-rules": ("messaging_messagingpolicy", "Texting rules"),
}


def link_to_subject(about: str) -> SafeString | str:
    what, _, pk = about.partition(":")
    if what not in PAGES:
        return about or NOTHING
    page, words = PAGES[what]
    return link(page_of(page, pk), words)
