"""Clinics, the people who work there, and what each may do."""

from __future__ import annotations

from typing import ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from voxanne.tenancy.ids import new_id
from voxanne.tenancy.owned import Owned


def known_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is not an IANA time zone, such as Europe/London.")


class User(AbstractUser):
    """A person who signs in. A superuser is a platform operator; everyone else sees their clinics."""

    class Meta(AbstractUser.Meta):
        db_table = "users"


class Organization(models.Model):
    """A clinic. ``plan_version`` rises with every change to what can be booked there (a trigger does it)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    timezone = models.CharField(
        max_length=64, validators=[known_time_zone], help_text="IANA name, such as Europe/London."
    )
    country = models.CharField(
        max_length=2,
        validators=[RegexValidator(r"^[A-Z]{2}$", "Two capital letters, such as US or GB (ISO 3166-1).")],
        help_text="Two letters (ISO 3166-1): how local phone numbers are read.",
    )
    active = models.BooleanField(default=True)
    plan_version = models.BigIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "organizations"
        ordering = ("name",)
        verbose_name = "clinic"

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    MANAGER = "manager", "Manager"
    RECEPTIONIST = "receptionist", "Receptionist"
    VIEWER = "viewer", "Viewer"


class Membership(Owned):
    """A person's place at a clinic."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.RECEPTIONIST)

    class Meta:
        db_table = "memberships"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "user"], name="one_membership_a_clinic"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"


class AuditEntry(Owned):
    """Who did what to which row, and why: one line for each act that matters."""

    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=120, help_text="Table and id of the row concerned.")
    reason = models.TextField(blank=True)

    class Meta:
        db_table = "audit_entries"
        ordering = ("-created_at",)
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [models.Index(fields=["org", "-created_at"], name="idx_audit_entries_org")]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
