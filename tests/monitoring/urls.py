"""The product's addresses, and a few that fail in the ways addresses can fail."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST
from rest_framework import serializers
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.access import cron_access, monitoring_access
from monitoring.errors import DomainError
from monitoring.limits import Limit, limited
from voxanne.urls import urlpatterns as products

handler400 = "monitoring.errors.bad_request"
handler403 = "monitoring.errors.permission_denied"
handler404 = "monitoring.errors.page_not_found"
handler500 = "monitoring.errors.server_error"


class Taken(DomainError):
    code = "slot_unavailable"
    status = 409


FAULTS: dict[str, Exception] = {
    "bug": ZeroDivisionError("the patient's number is +14155550142"),
    "away": OperationalError("connection refused"),
    "closed": InterfaceError("connection already closed"),
    "unreadable": DataError("invalid input syntax for type uuid"),
    "big": RequestDataTooBig("Request body exceeded settings.DATA_UPLOAD_MAX_MEMORY_SIZE."),
    "suspicious": SuspiciousOperation("odd"),
    "denied": PermissionDenied(),
    "absent": Http404("no row"),
    "taken": Taken("That hour is taken.", details={"alternatives": ["10:00"]}),
}


@csrf_exempt
def fail(request: HttpRequest, how: str) -> HttpResponse:
    raise FAULTS[how]


@require_POST
def only_post(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@csrf_protect
def protected(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@csrf_exempt
def reads_body(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


@monitoring_access
def operations(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@cron_access
def cron(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@limited(Limit("booking_address"))
def counted(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@limited(Limit("booking_address", open_without_redis=False))
def counted_strictly(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


class Rest(APIView):
    permission_classes = (AllowAny,)

    class Wish(serializers.Serializer[Any]):
        day = serializers.DateField()

    def post(self, request: Request) -> Response:
        self.Wish(data=request.data).is_valid(raise_exception=True)
        return Response({})

    def get(self, request: Request) -> Response:
        raise Http404


class Closed(Rest):
    permission_classes = (IsAuthenticated,)  # type: ignore[assignment]


urlpatterns = [
    path("api/fail/<str:how>", fail),
    path("admin/fail/<str:how>", fail),
    path("api/only-post", only_post),
    path("api/protected", protected),
    path("api/body", reads_body),
    path("api/operations", operations),
    path("api/cron", cron),
    path("api/counted", counted),
    path("api/counted-strictly", counted_strictly),
    path("api/rest", Rest.as_view()),
    path("api/rest-closed", Closed.as_view()),
    *products,
]
