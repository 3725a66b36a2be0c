"""The agent's tools as they were last registered at Vapi, clinic by clinic."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from voxanne.tenancy.owned import Owned


class ToolRegistration(Owned):
    """One tool of a clinic at Vapi: its id there, the assistant it is linked to, and what Vapi was told of it.

    ``schema_digest`` is the SHA-256 of what was sent, secrets left out: another digest means that the tool's
    definition has changed since.
    """

    name = models.CharField(max_length=64)
    vapi_tool_id = models.CharField(max_length=64, unique=True)
    vapi_assistant_id = models.CharField(max_length=64, blank=True, default="")
    schema_digest = models.CharField(max_length=64)
    synced_at = models.DateTimeField()

    class Meta:
        db_table = "tool_registrations"
        ordering = ("name",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "name"], name="one_registration_a_tool")
        ]

    def __str__(self) -> str:
        return self.name
