"""Staff pages: the whole answer, rendering included, happens inside the person's scope."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import SimpleTemplateResponse

from voxanne.tenancy.access import roles_of
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import org_scope, platform_scope

STAFF_PREFIX = "/admin/"


class StaffScopeMiddleware:
    """Opens the scope of the signed-in person's clinics; an answer of 500 rolls everything back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = getattr(request, "user", None)
        if not request.path.startswith(STAFF_PREFIX) or not isinstance(user, User):
            return self.get_response(request)
        if user.is_superuser:
            with platform_scope(f"platform operator {user.pk} on staff pages"):
                return self._answer(request)
        with org_scope(*roles_of(user)):
            return self._answer(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
            response.render()
        if isinstance(response, HttpResponse) and response.status_code >= 500:
            transaction.set_rollback(True)
        return response
