"""What the agent's tools were asked, and their stored answers."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from telephony.models.calls import Call
from voxanne.tenancy.owned import Owned


class ToolInvocation(Owned):
    """The claim of one tool call, and its stored answer: a repeat gets the same answer and no second effect."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="tool_invocations")
    tool_call_id = models.CharField(max_length=120)
    tool = models.CharField(max_length=60)
    answer = models.JSONField(null=True, blank=True)
    outcome = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        db_table = "tool_invocations"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "call", "tool_call_id"], name="one_answer_a_tool_call")
        ]

    def __str__(self) -> str:
        return self.tool
