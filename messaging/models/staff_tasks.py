"""What the people at the desk are told of."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from messaging.models.people import Contact
from messaging.states import TaskKind
from voxanne.tenancy.owned import Owned


class StaffTask(Owned):
    """Something a person at the clinic is to know of, until one of them says that they do."""

    class Urgency(models.TextChoices):
        NORMAL = "normal", "Normal"
        URGENT = "urgent", "Urgent"

    kind = models.CharField(max_length=30, choices=TaskKind.choices)
    urgency = models.CharField(max_length=10, choices=Urgency.choices, default=Urgency.NORMAL)
    text = models.TextField()
    from_number = models.CharField(max_length=40, blank=True, default="")
    callback_number = models.CharField(max_length=40, blank=True, default="")
    call_id = models.UUIDField(null=True, blank=True, help_text="The call it came from.")
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="staff_tasks"
    )
    about = models.CharField(max_length=80, blank=True, default="", help_text="Such as appointment:<id>.")
    dedupe_key = models.CharField(max_length=120, help_text="Unique per clinic: what must not be told twice.")
    texts = models.PositiveIntegerField(
        default=1, db_default=1, help_text="Of a conversation, how many came in while this was open."
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        db_table = "staff_tasks"
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "dedupe_key"], name="one_task_a_dedupe_key"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_staff_tasks_org"),
            models.Index(
                fields=["org", "-created_at"], name="idx_staff_tasks_open", condition=Q(acknowledged_at=None)
            ),
            models.Index(fields=["contact"], name="idx_staff_tasks_contact"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
