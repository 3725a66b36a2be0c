"""Clinics and people: who works where, who signed in, and who did what."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from voxanne.staff import people
from voxanne.staff.clinic_admin import ClinicAdmin, ListedPage, OperatorOnly, ReadOnly
from voxanne.staff.columns import badge, clock, utc_clock
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays
from voxanne.staff.forms import ClinicForm
from voxanne.tenancy.models import AuditEntry, Membership, Organization, User

# A role is a membership here, not a group; sign-in records get pages of our own below.
for foreign in (Group, AccessAttempt, AccessLog, AccessFailureLog):
    if admin.site.is_registered(foreign):
        admin.site.unregister(foreign)

WHEN = utc_clock("When", "attempt_time")
ROLE_TONES = {"owner": "primary", "manager": "info", "receptionist": "success", "viewer": ""}


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's forms take no subscript at run time
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "timezone" in self.fields:
            names = [(name, name) for name in sorted(available_timezones())]
            self.fields["timezone"] = forms.ChoiceField(choices=names, widget=UnfoldAdminSelectWidget())
        if "country" in self.fields:
            self.fields["country"].help_text = "Two letters, such as US: how local phone numbers are read."

    def clean_country(self) -> str:
        return str(self.cleaned_data["country"]).upper()


@admin.register(Organization)
class OrganizationAdmin(ClinicAdmin):
    form = OrganizationForm
    clinic_column = "pk"
    zone_path = "timezone"
    list_display = ("name", "slug", "timezone", "country", "active")
    list_select_related = ()
    search_fields = ("name", "slug")
    list_filter = ("active",)
    fields = ("name", "slug", "timezone", "country", "active")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return people.is_operator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.is_operator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A clinic's history outlives it: it is made inactive, never deleted."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # The slug is part of addresses that providers were given.
        return ("slug",) if obj is not None else ()


class MembershipForm(ClinicForm):
    """A person has one place at a clinic."""


@admin.register(Membership)
class MembershipAdmin(ClinicAdmin):
    form = MembershipForm
    list_display = ("user", "role_badge")
    list_select_related = ("org", "user")
    list_filter = (("org", OfClinic), ("role", OfChoices))
    search_fields = ("user__username", "user__first_name", "user__last_name")
    autocomplete_fields = ("user",)
    fields = ("user", "role")
    ordering = ("org__name", "user__username")

    role_badge = badge("Role", "role", ROLE_TONES)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *(["user"] if obj is not None else [])]


@admin.register(User)
class PersonAdmin(UserAdmin, ListedPage):  # type: ignore[type-arg]
    """Everybody for a platform operator; for an owner, the people of their clinics, to look at."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "first_name",
        "last_name",
        "email",
        "is_active",
        utc_clock("Signed in", "last_login"),
    )
    list_filter = ("is_active", "is_superuser")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Since", {"fields": ("last_login", "date_joined")}),
    )
    shown_to_owners = ("username", "first_name", "last_name", "email", "is_active", "last_login")
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2")}),
        ("Access", {"fields": ("is_staff", "is_superuser")}),
    )
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        everybody: QuerySet[User] = super().get_queryset(request)
        allowed = people.allowed_clinics(request, "tenancy.view_membership")
        if allowed is None:
            return everybody
        return everybody.filter(pk__in=Membership.objects.filter(org_id__in=allowed).values("user_id"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if people.is_operator(request):
            return super().get_fieldsets(request, obj)
        return ((None, {"fields": self.shown_to_owners}),)

    def get_list_filter(self, request: HttpRequest) -> Any:
        return super().get_list_filter(request) if people.is_operator(request) else ("is_active",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.is_operator(request) or people.holds(request, "tenancy.view_membership")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return people.is_operator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.is_operator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """People are made inactive: the audit trail names them."""
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "actor", "action", "subject", "reason")
    list_select_related = ("org", "actor")
    list_filter = (("org", OfClinic), ("created_at", WholeDays))
    search_fields = ("action", "subject")
    ordering = ("-created_at",)
    fields = ("created_at", "actor", "action", "subject", "reason")


class SignInPage(OperatorOnly, ReadOnly, ListedPage):
    """What the sign-in guard wrote down; for platform operators, to look at."""

    ordering = ("-attempt_time",)
    search_fields = ("username", "ip_address")
    list_filter = ("attempt_time",)


@admin.register(AccessLog)
class SignInAdmin(SignInPage):
    list_display = (WHEN, "username", "ip_address", "user_agent", utc_clock("Signed out", "logout_time"))


@admin.register(AccessAttempt)
class FailedSignInAdmin(SignInPage):
    list_display = (WHEN, "username", "ip_address", "failures_since_start", "user_agent")
    exclude = ("get_data", "post_data")


@admin.register(AccessFailureLog)
class FailureLogAdmin(SignInPage):
    list_display = (WHEN, "username", "ip_address", "locked_out", "user_agent")
