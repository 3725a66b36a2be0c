"""Forms for a clinic's rows: the clinic is set once, and no field may name another clinic's row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import QuerySet

from voxanne.tenancy.models import Organization
from voxanne.tenancy.owned import Owned

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm

ELSEWHERE = "That belongs to another clinic."


class ClinicForm(ModelForm):
    """``clinics`` are those in which the person may add such rows; a single one is taken without asking."""

    clinics: ClassVar[QuerySet[Organization] | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "org" in self.fields:
            self.fields["org"].queryset = self.clinics  # type: ignore[attr-defined]
            self.fields["org"].label = "Clinic"
        elif not self.instance.org_id and self.clinics is not None:
            self.instance.org = self.clinics.get()
        self._narrow_choices()
        self._tell_time_in_minutes()

    def _tell_time_in_minutes(self) -> None:
        for field in self.fields.values():
            if isinstance(field, forms.TimeField):
                field.widget.format = "%H:%M"
            elif isinstance(field, forms.SplitDateTimeField):
                field.widget.widgets[1].format = "%H:%M"

    def _narrow_choices(self) -> None:
        """Once the clinic is known, only its rows can be chosen."""
        if not self.instance.org_id:
            return
        for field in self.fields.values():
            rows = getattr(field, "queryset", None)
            if rows is not None and issubclass(rows.model, Owned):
                field.queryset = rows.filter(org_id=self.instance.org_id)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        clinic = cleaned.get("org")
        org_id = clinic.pk if clinic else self.instance.org_id
        for name, value in list(cleaned.items()):
            if isinstance(value, Owned) and org_id and value.org_id != org_id:
                self.add_error(name, ELSEWHERE)
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        # Unique constraints name the clinic: they are checked although the form does not show it.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"org"} if self.instance.org_id else excluded

    def _update_errors(self, errors: forms.ValidationError) -> None:
        # What is wrong with the clinic's rows together is said above the form, where no field names the clinic.
        named = getattr(errors, "error_dict", {})
        if "org" in named and "org" not in self.fields:
            named.setdefault(NON_FIELD_ERRORS, []).extend(named.pop("org"))
        super()._update_errors(errors)  # type: ignore[misc]


class SecretsForm(ClinicForm):
    """``secrets`` are typed in and never shown again; left blank, the stored one stays."""

    secrets: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.asked_secrets():
            stored = getattr(self.instance, name, "")
            field = self.fields[name]
            field.widget = forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "staff-day"})
            field.required = field.required and not stored
            field.help_text = "Set. Leave blank to keep it." if stored else "Not set."
            self.initial.pop(name, None)

    def asked_secrets(self) -> list[str]:
        """Those on the form: who may only look at the row is asked for none."""
        return [name for name in self.secrets if name in self.fields]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        for name in self.asked_secrets():
            cleaned[name] = cleaned.get(name) or getattr(self.instance, name, "")
        return cleaned
