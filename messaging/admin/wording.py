"""What a clinic says, in its own words."""

from __future__ import annotations

from django import forms
from django.contrib import admin

from messaging.models import MessageTemplate
from messaging.words.segments import measure, plain
from messaging.words.wording import check_template
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.staff.columns import shown
from voxanne.staff.filters import OfChoices, OfClinic
from voxanne.staff.forms import ClinicForm


class WordingForm(ClinicForm):
    """Words that can be filled in: no place is named that nobody fills."""

    def clean_body(self) -> str:
        body: str = self.cleaned_data["body"]
        try:
            check_template(body)
        except ValueError as error:
            raise forms.ValidationError(f"{error}") from error
        return body


@admin.register(MessageTemplate)
class MessageTemplateAdmin(ClinicAdmin):
    form = WordingForm
    list_display = ("kind", "start_of_body", "segments")
    list_filter = (("org", OfClinic), ("kind", OfChoices))
    fields = ("kind", "body")
    ordering = ("org__name", "kind")

    @shown("Words")
    def start_of_body(self, template: MessageTemplate) -> str:
        return template.body if len(template.body) <= 90 else f"{template.body[:89]}…"

    @shown("Segments, about")
    def segments(self, template: MessageTemplate) -> int:
        return measure(plain(template.body)).segments
