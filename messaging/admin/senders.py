"""The number a clinic texts from, its account, and whether its texts are held back just now."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldBooleanSwitchWidget

from messaging.admin import whatsapp
from messaging.admin.numbers import clean_number
from messaging.manners import consent
from messaging.models import BulkAct, SenderAccount
from messaging.senders import ANOTHERS_NUMBER, ANOTHERS_SERVICE, is_anothers_number
from messaging.sending import pauses
from messaging.sending.pace import granted_to, line_up_anew
from messaging.undelivered import bulk_acts
from voxanne.staff import people
from voxanne.staff.asking import Told, WithReason, asks_about_row
from voxanne.staff.audit import record_act
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.staff.columns import NOTHING, clinic_time, label, shown
from voxanne.staff.filters import OfClinic
from voxanne.staff.forms import SecretsForm
from voxanne.staff.rows import RowButton, buttons
from voxanne.staff.start import Figure, add_figure
from voxanne.tenancy.models import Organization

SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")
MAY_PAUSE = "messaging.pause_senderaccount"


class SenderForm(SecretsForm):
    secrets = ("auth_token", "api_secret")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        clinic = cleaned.get("org") or getattr(self.instance, "org", None)
        if clinic is not None:
            self._clean_number(cleaned, "number", clinic)
            self._clean_number(cleaned, "whatsapp_number", clinic)
            self._check_service(cleaned.get("messaging_service_sid") or "", clinic)
        if cleaned.get("whatsapp_on") and not cleaned.get("whatsapp_number") and not self.errors:
            self.add_error("whatsapp_number", "Give the number that the clinic has at WhatsApp.")
        return cleaned

    def _check_service(self, sid: str, clinic: Organization) -> None:
        """Texts come in under this name too: it must be none of another clinic's."""
        if sid and SERVICE_SID.fullmatch(sid) is None:
            self.add_error(
                "messaging_service_sid", "A messaging service's SID is MG and 32 characters, 0–9 and a–f."
            )
        elif is_anothers_number(sid, clinic.pk):
            self.add_error("messaging_service_sid", ANOTHERS_SERVICE)

    def _clean_number(self, cleaned: dict[str, Any], name: str, clinic: Organization) -> None:
        if not cleaned.get(name):
            return
        try:
            cleaned[name] = clean_number(cleaned[name], clinic.country)
        except forms.ValidationError as error:
            self.add_error(name, error)
        else:
            if is_anothers_number(cleaned[name] or "", clinic.pk):
                self.add_error(name, ANOTHERS_NUMBER)


class WhenResumed(WithReason):
    """Asks why it is well again, and what becomes of the texts that the fault cost."""

    redrive = forms.BooleanField(
        required=False,
        initial=True,
        label="Also send again the texts that were given up because of this",
        widget=UnfoldBooleanSwitchWidget(),
    )


def is_paused(sender: SenderAccount) -> bool:
    return bool(sender.paused_reason)


def is_sending(sender: SenderAccount) -> bool:
    return not sender.paused_reason


@admin.register(SenderAccount)
class SenderAccountAdmin(whatsapp.WhatsAppActs, ClinicAdmin):
    """The credentials can be replaced, never read. Sending is paused and resumed by acts, not by typing."""

    form = SenderForm
    list_display = ("number", "own_account", "sending", "paused_reason", "by_whatsapp")
    list_filter = (("org", OfClinic),)
    search_fields = ("number", "org__name")
    actions_detail = ("pause", "resume", "pause_whatsapp", "resume_whatsapp")
    typed = (
        "number",
        "segments_per_second",
        "account_sid",
        "auth_token",
        "api_key",
        "api_secret",
        "messaging_service_sid",
    )
    told = ("sending", "paused_reason", "paused_since", "pace")
    of_whatsapp = ("by_whatsapp", "whatsapp_paused_reason")
    readonly_fields = ("own_account", *told, *of_whatsapp)

    def sections(self, request: Any, obj: Any = None) -> Any:
        changes = obj is None or self.has_change_permission(request, obj)
        texts = self.typed if changes else ("number", "own_account", "messaging_service_sid")
        switch = ("whatsapp_number", *(("whatsapp_on",) if changes else ()))
        told, of_whatsapp = ((), ()) if obj is None else (self.told, self.of_whatsapp)
        return [
            ("Texts", {"fields": [*told, *texts]}),
            ("WhatsApp", {"fields": [*of_whatsapp, *switch]}),
        ]

    def get_list_display(self, request: HttpRequest) -> Any:
        return [*super().get_list_display(request), buttons(request, "messaging_senderaccount", ROW_BUTTONS)]

    def asked_about(self, row: SenderAccount) -> str:
        return f"{row.org}: {row.number or 'no number yet'}."

    def fits(self, act: str, row: SenderAccount) -> bool:
        if act in whatsapp.FITS:
            return whatsapp.FITS[act](row)
        return is_sending(row) if act == "pause" else is_paused(row)

    @asks_about_row(
        "Pause sending",
        question="Hold this clinic's texts back?",
        explanation="Texts wait from now on, and none is lost: they go out when sending is resumed, unless their time"
        " is over by then.",
        yes="Yes, pause sending",
        permission=MAY_PAUSE,
        form=WithReason,
        icon="pause_circle",
        grave=True,
    )
    def pause(self, request: HttpRequest, sender: SenderAccount, given: dict[str, Any]) -> Told:
        if not pauses.pause(sender.org_id, given["reason"], by_a_person=True):
            return Told("Sending was paused already.", done=False)
        record_act(request, sender, "sender.pause", given["reason"])
        return Told("Sending is paused: texts wait until it is resumed.")

    @asks_about_row(
        "Resume sending",
        question="Let this clinic's texts go?",
        explanation="Texts that were held back go out at once. Resume only when what stopped them is mended, or it will"
        " stop them again.",
        yes="Yes, resume sending",
        permission=MAY_PAUSE,
        form=WhenResumed,
        icon="play_circle",
    )
    def resume(self, request: HttpRequest, sender: SenderAccount, given: dict[str, Any]) -> Told:
        since = sender.paused_at
        held = pauses.resume(sender.org_id)
        if held is None:
            return Told("Sending was not paused.", done=False)
        record_act(request, sender, "sender.resume", given["reason"])
        again = (
            _redrive_what_it_cost(request, sender, since, given["reason"])
            if given["redrive"] and since
            else 0
        )
        return Told(f"Sending goes on: {held} held back are due now.{_told_of(again)}")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Who opted out of the old number has opted out of the new one, on either channel."""
        names = ("number", "messaging_service_sid")
        old = SenderAccount.objects.filter(pk=obj.pk).values_list(*names).first() if change else None
        super().save_model(request, obj, form, change)
        if old is not None:
            consent.carry_over(obj.org_id, old=old, new=obj.number)
        if obj.whatsapp_number:
            consent.carry_over_whatsapp(obj.org_id, obj.whatsapp_number)
        if change and "segments_per_second" in form.changed_data:
            line_up_anew(obj.org_id, obj.number)

    @shown("Sending")
    def sending(self, sender: SenderAccount) -> SafeString:
        return label("Paused", "danger") if sender.paused_reason else label("On", "success")

    @shown("Paused since")
    def paused_since(self, sender: SenderAccount) -> str:
        return clinic_time(sender, sender.paused_at)

    @shown("Texts leave")
    def pace(self, sender: SenderAccount) -> str:
        """The pace in force, and whose figure it is."""
        if not sender.number:
            return NOTHING
        per_second = sender.segments_per_second or granted_to(sender.number)
        whose = "as you entered" if sender.segments_per_second else "as usual for this kind of number"
        return f"At most {per_second:g} segment{'' if per_second == 1 else 's'} a second, {whose}"

    @shown("Account")
    def own_account(self, sender: SenderAccount) -> str:
        return f"Own, {mask_sid(sender.account_sid)}" if sender.account_sid else "The platform's"


ROW_BUTTONS = (
    RowButton("pause", "Pause", MAY_PAUSE, is_sending),
    RowButton("resume", "Resume", MAY_PAUSE, is_paused),
    *whatsapp.ROW_BUTTONS,
)


def _told_of(again: int) -> str:
    """What became of those that the fault cost, blank where there are none."""
    if not again:
        return ""
    texts = "1 text given up before is" if again == 1 else f"{again} texts given up before are"
    return f" {texts} put back step by step, behind all others: see Bulk acts on texts."


def _redrive_what_it_cost(request: HttpRequest, sender: SenderAccount, since: datetime, reason: str) -> int:
    """How many texts the workers will put back, step by step; they stop where the texts die again."""
    chosen = [(sender.org_id, pk) for pk in pauses.given_up_for_it(sender.org_id, since)]
    if chosen:
        asker = people.person(request)
        bulk_acts.ask_for(BulkAct.Act.REDRIVE, chosen, reason=reason, asked_by=asker, asked_key=uuid4())
    return len(chosen)


def mask_sid(sid: str) -> str:
    return f"{sid[:2]}…{sid[-4:]}"


def paused_senders(request: HttpRequest) -> Figure | None:
    """A figure only while texts are held back: nobody needs to read every day that they are not."""
    held = SenderAccount.objects.exclude(paused_reason="", whatsapp_paused_reason="")
    # A credential that cannot be read would keep the whole start page back.
    paused = held.select_related("org").defer("auth_token", "api_secret")[:2]
    if not paused:
        return None
    first = paused[0]
    what, why = (
        ("Sending", first.paused_reason) if is_paused(first) else ("WhatsApp", first.whatsapp_paused_reason)
    )
    whose = "" if people.sole_clinic(request) else f"{first.org}: "
    note = f"{whose}{why}" if len(paused) == 1 else "at several clinics"
    return Figure(what, "Paused", note, reverse("admin:messaging_senderaccount_changelist"), alarming=True)


add_figure(31, paused_senders)
