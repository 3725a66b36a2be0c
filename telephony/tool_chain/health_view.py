"""``GET /api/monitoring/tool-health``: the tool-chain report as JSON (contract, section 2).

A look asks Vapi several things for each clinic. So that nobody's polling keeps the threads that callers are
answered on, one look is under way at a time in a process, and its report is kept for a while.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.errors import error_response
from monitoring.findings import Verdict
from telephony.clinics import active_clinics
from telephony.tool_chain.verification import ClinicChain, tool_chains
from telephony.vapi.rest import Vapi

KEPT_SECONDS = 30.0
STATUSES = {Verdict.PASS: "healthy", Verdict.WARN: "degraded", Verdict.FAIL: "unhealthy"}


class FindingSerializer(serializers.Serializer[Any]):
    check = serializers.CharField()
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])
    detail = serializers.CharField()
    advice = serializers.CharField(help_text="What to do; blank where nothing is.")
    milliseconds = serializers.FloatField()


class ChainSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    orgId = serializers.UUIDField()
    status = serializers.ChoiceField(choices=list(STATUSES.values()))
    checks = FindingSerializer(many=True)


class ToolHealthSerializer(serializers.Serializer[Any]):
    """The whole report."""

    status = serializers.ChoiceField(choices=list(STATUSES.values()))
    timestamp = serializers.DateTimeField(
        help_text="When the look began; a report is kept for half a minute."
    )
    checks = FindingSerializer(many=True, help_text="What belongs to no clinic.")
    clinics = ChainSerializer(many=True)


class Look:
    """The last report and the lock under which the next is made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._report: dict[str, Any] | None = None
        self._until = 0.0

    def report(self) -> dict[str, Any] | None:
        """A report at most half a minute old, or the last one while a new one is being made; None before the
        first one is done."""
        if time.monotonic() < self._until or not self._lock.acquire(blocking=False):
            return self._report
        try:
            self._report = _report()
            self._until = time.monotonic() + KEPT_SECONDS
        finally:
            self._lock.release()
        return self._report

    def forget(self) -> None:
        self._report, self._until = None, 0.0


LOOK = Look()


class ToolHealth(APIView):
    """Whether each clinic's tools are registered, linked and reachable at Vapi."""

    # The right to look is asked for around the view: monitoring.access.monitoring_access.
    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="tool_health",
        responses={200: ToolHealthSerializer},
        description=(
            "The tool-chain report: our public address, and for each clinic its credential, registered tools, "
            "assistants, links and numbers at Vapi. Always 200 once there is a report, whatever it says; 503 "
            "with Retry-After while the first look is under way. Needs the monitoring token."
        ),
    )
    def get(self, request: Request) -> HttpResponseBase:
        report = LOOK.report()
        if report is None:
            response = error_response(503, "look_under_way", "The first look is under way; ask again.")
            response["Retry-After"] = "5"
            return response
        return Response(report)


def _report() -> dict[str, Any]:
    began = timezone.now()
    # Tried once: whoever polls asks again by himself.
    chains = tool_chains(active_clinics(), Vapi(tries=1))
    worst = max((chain.verdict for chain in chains), key=list(STATUSES).index)
    return {
        "status": STATUSES[worst],
        "timestamp": began.isoformat(),
        "checks": [finding.as_json() for chain in chains if not chain.slug for finding in chain.findings],
        "clinics": [_as_json(chain) for chain in chains if chain.slug],
    }


def _as_json(chain: ClinicChain) -> dict[str, Any]:
    return {
        "slug": chain.slug,
        "orgId": str(chain.org_id),
        "status": STATUSES[chain.verdict],
        "checks": [finding.as_json() for finding in chain.findings],
    }
