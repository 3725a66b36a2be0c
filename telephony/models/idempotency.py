"""What the booking API was asked under a key, and its first answer."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from voxanne.tenancy.owned import Owned


class ApiIdempotencyKey(Owned):
    """The claim of one key by one caller of the API. Key, caller and request are kept as digests: they are compared,
    never read."""

    caller = models.CharField(max_length=64, help_text="SHA-256 of the token's subject.")
    key = models.CharField(max_length=64, help_text="SHA-256 of the Idempotency-Key.")
    request = models.CharField(max_length=64, help_text="SHA-256 of what was asked.")
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    answer = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "api_idempotency_keys"
        verbose_name = "API request key"
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "caller", "key"], name="one_answer_an_idempotency_key"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="idx_api_idempotency_created"),
        ]

    def __str__(self) -> str:
        return "Request key"
