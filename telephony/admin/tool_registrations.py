"""The agent's tools at Vapi: when each was last right there, and whether its definition has changed since."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString

from telephony.models import ToolRegistration, VapiCredential
from telephony.tool_chain.our_side import OurSide, Presented
from telephony.tool_chain.wanted import digest_of, tool_bodies
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import age, clock, label, shown
from voxanne.staff.filters import OfClinic

AS_DEFINED = ("As defined", "success")
CHANGED = ("Changed since", "warning")
RETIRED = ("No longer wanted", "warning")


@admin.register(ToolRegistration)
class ToolRegistrationAdmin(ReadOnly, ClinicAdmin):
    """Written by ``sync_vapi_tools``; what Vapi has is checked by ``verify_tool_chain``, not by this page."""

    list_display = (
        "name",
        "drift",
        clock("Last right at Vapi", "synced_at"),
        age("Age", "synced_at"),
        "vapi_tool_id",
    )
    list_filter = (("org", OfClinic),)
    search_fields = ("name", "=vapi_tool_id", "=vapi_assistant_id")
    ordering = ("org__name", "name")
    fields = (
        "name",
        "drift",
        "synced_at",
        "vapi_tool_id",
        "vapi_assistant_id",
        "schema_digest",
        "created_at",
    )
    readonly_fields = ("drift",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the id at Vapi of the credential that the clinic's tools are told to use."""
        newest = VapiCredential.objects.filter(org_id=OuterRef("org_id"), active=True).order_by("-created_at")
        rows: Any = super().get_queryset(request)
        credential = Subquery(newest.values("vapi_credential_id")[:1])
        return cast(QuerySet[Any], rows.annotate(credential_id=credential))

    @shown("Definition")
    def drift(self, registration: ToolRegistration) -> SafeString:
        """Whether what Vapi was told is what it would be told today."""
        clinic = OurSide(
            org_id=registration.org_id,
            slug=registration.org.slug,
            name=registration.org.name,
            presented=Presented("", registration.credential_id or ""),  # type: ignore[attr-defined]  # annotated above
            assistants=(),
            lines=(),
            registered={},
        )
        body = tool_bodies(clinic, settings.BACKEND_URL).get(registration.name)
        if body is None:
            return label(*RETIRED)
        return label(*(AS_DEFINED if digest_of(body) == registration.schema_digest else CHANGED))
