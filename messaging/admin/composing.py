"""The box in which staff write a text: what it needs to tell, while they type, how it goes out and what it costs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms

from messaging.conversation.models import ReplySettings
from messaging.conversation.replies import LONGEST
from messaging.conversation.thread import BadPlace, Place
from messaging.words.segments import ALPHABET
from voxanne.tenancy.ids import new_id


class ReplyForm(forms.Form):
    """A text, the key of the page it was written on, and the last text that was to be seen there."""

    body = forms.CharField(required=False, strip=False)
    key = forms.UUIDField()
    until = forms.CharField(required=False)
    shown = forms.UUIDField(required=False)

    def clean_until(self) -> Place | None:
        return place_in(self.cleaned_data["until"])


class NameForm(forms.Form):
    """Who a number belongs to."""

    name = forms.CharField(max_length=120)


def place_in(text: str) -> Place | None:
    """The place that ``text`` names; None where it names none."""
    try:
        return Place.read(text)
    except BadPlace:
        return None


def fresh_key() -> UUID:
    """What makes a second press of the same button known as such."""
    return new_id()


def counting(org_id: UUID) -> dict[str, Any]:
    """What the page's script counts with: the very tables that the server counts with, and the clinic's price."""
    chosen = ReplySettings.objects.filter(org_id=org_id).first()
    price = chosen.segment_price if chosen else None
    return {
        **ALPHABET,
        "longest": LONGEST,
        "price": str(price) if price is not None else None,
        "currency": chosen.currency if chosen else "",
    }
