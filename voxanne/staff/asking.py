"""Acts of staff on rows: each asks first, is done by POST, on rows of the person's clinics, and tells what it did.

The theme runs an action without a dialog on GET, and hands actions an id instead of a row; both are closed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urldefrag

from django import forms
from django.contrib import messages
from django.contrib.admin import helpers
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.decorators import action as themed_action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from voxanne.staff import people
from voxanne.staff.audit import clinic_of
from voxanne.staff.bases import DialogForm
from voxanne.staff.refusal import may_not

MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Told:
    """What an act came to, for the person: ``done`` is False where nothing was changed."""

    text: str
    done: bool = True


class Sure(DialogForm):
    """Asks for nothing but a yes."""


class WithReason(DialogForm):
    """Asks for a reason, which goes into the audit trail."""

    reason = forms.CharField(max_length=200, strip=True, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


class WithReasonAndText(WithReason):
    """Asks for a reason, and whether the patient is told by text, where a text can be sent (``no_text``)."""

    tell_patient = forms.BooleanField(
        required=False, initial=True, label="Text the patient about it", widget=UnfoldBooleanSwitchWidget()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if getattr(self.request, "staff_sends_no_text", False):
            del self.fields["tell_patient"]


def no_text(request: HttpRequest) -> None:
    """Leaves the question of a text out of this request's dialog: there is nobody to text, or nothing to say."""
    request.staff_sends_no_text = True  # type: ignore[attr-defined]


RowAct = Callable[[Any, HttpRequest, Any, dict[str, Any]], Told]
# What a dialog says: the same for every row, or told of the row at hand.
Explanation = str | Callable[[HttpRequest, Any], str]
ExplanationOfRows = str | Callable[[HttpRequest, Sequence[Any]], str]
RowsAct = Callable[[Any, HttpRequest, Sequence[Any], dict[str, Any]], Told]


def asks_about_row(
    name: str,
    *,
    question: str,
    explanation: Explanation,
    yes: str,
    permission: str,
    form: Any = Sure,
    icon: str = "",
    grave: bool = False,
) -> Callable[[RowAct], Any]:
    """Makes an act on one row a dialog of its page: GET asks, POST with the form filled in acts.

    The row is looked up among those the person may see (else 404) and their role is asked at its own clinic (else
    403, with who may), both before the dialog opens; then it is locked and handed to the act, which judges its state
    afresh.
    """

    def as_action(act: RowAct) -> Any:
        @wraps(act)
        def confirmed(admin: Any, request: HttpRequest, given: Any, object_id: str) -> HttpResponse:
            told = act(admin, request, admin.row(request, object_id, lock=True), given.cleaned_data)
            messages.add_message(request, messages.SUCCESS if told.done else messages.WARNING, told.text)
            return _back_to(request, admin)

        def themed(told: str) -> Any:
            dialog = {"title": question, "description": told, "form_class": form, "form_submit_text": yes}
            variant = ActionVariant.DANGER if grave else ActionVariant.PRIMARY
            return themed_action(
                confirmed, description=name, icon=icon or None, variant=variant, dialog=dialog
            )

        @wraps(themed(""))
        def guarded(admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            row = admin.row(request, object_id)
            if not people.holds(request, permission, row):
                return may_not(admin, request, permission, (clinic_of(row),))
            told = explanation if isinstance(explanation, str) else explanation(request, row)
            named = f"{admin.asked_about(row)} {told}".strip()
            response: HttpResponse = themed(named)(admin, request, object_id=object_id)
            return response

        # Not the theme's own ``permissions``: it looks those up in the database before there is one.
        guarded.needs = permission  # type: ignore[attr-defined]
        return guarded

    return as_action


def _back_to(request: HttpRequest, admin: Any) -> HttpResponse:
    """To the page the dialog was opened on, else to the list."""
    rows = reverse(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_changelist")
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(rows)
    here = urldefrag(request.headers.get("HX-Current-URL", "")).url
    known = url_has_allowed_host_and_scheme(here, {request.get_host()}, require_https=request.is_secure())
    return HttpResponse(headers={"HX-Redirect": here if known else rows})


def asks_about_rows(
    name: str,
    *,
    question: str,
    explanation: ExplanationOfRows,
    yes: str,
    permission: str,
    form: Any = Sure,
    grave: bool = False,
) -> Callable[[RowsAct], Any]:
    """Makes an act on selected rows a page that names them and posts: the first POST asks, the second acts. The page
    calls each row what the admin's ``in_a_line`` calls it.

    Rows at clinics where the person's role does not allow it are refused (403), nothing done. At most
    ``MOST_AT_ONCE`` rows; their ids are carried by the page, so it acts on what was shown.
    """

    def as_action(act: RowsAct) -> Any:
        @wraps(act)
        def asked(admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
            rows = list(queryset.order_by("pk")[: MOST_AT_ONCE + 1])
            if len(rows) > MOST_AT_ONCE:
                messages.warning(
                    request, f"At most {MOST_AT_ONCE} at a time: filter the list, then select again."
                )
                return None
            if not all(people.holds(request, permission, row) for row in rows):
                return may_not(admin, request, permission, {clinic_of(row) for row in rows})
            sure = "confirmed" in request.POST
            given = form(data=request.POST if sure else None, request=request)
            if sure and given.is_valid():
                told = act(admin, request, rows, given.cleaned_data)
                messages.add_message(request, messages.SUCCESS if told.done else messages.WARNING, told.text)
                return None
            said = explanation if isinstance(explanation, str) else explanation(request, rows)
            texts = {"title": question, "explanation": said, "yes": yes, "grave": grave}
            return _question_page(admin, request, rows, {**texts, "form": given, "action": act.__name__})

        asked.short_description = name  # type: ignore[attr-defined]
        asked.needs = permission  # type: ignore[attr-defined]
        return asked

    return as_action


def _question_page(
    admin: Any, request: HttpRequest, rows: Sequence[Any], question: dict[str, Any]
) -> HttpResponse:
    context = {
        **admin.admin_site.each_context(request),
        **question,
        "rows": [(row.pk, admin.in_a_line(row)) for row in rows],
        "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        "opts": admin.opts,
        "media": admin.media,
    }
    return TemplateResponse(request, "staff/confirm_rows.html", context)
