"""Addresses that do what staff pages do, for the tests of the scope around them."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path

from messaging.models import Contact
from voxanne.tenancy.scope import current_scope

PHONE = "+14155550111"


def _contacts() -> QuerySet[Contact]:
    return Contact.objects.order_by("phone")


def phones(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse({"phones": [contact.phone for contact in _contacts()]})


def lazily(request: HttpRequest) -> HttpResponseBase:
    """Its rows are read when the template is rendered, after the view has returned."""
    page = engines["django"].from_string("{% for contact in contacts %}{{ contact.phone }};{% endfor %}")
    return TemplateResponse(request, page, {"contacts": _contacts()})


def adding(request: HttpRequest, status: int) -> HttpResponseBase:
    scope = current_scope()
    assert scope is not None
    Contact.objects.create(org_id=next(iter(scope.org_ids)), phone=PHONE)
    return HttpResponse(status=status)


def breaking(request: HttpRequest) -> HttpResponseBase:
    adding(request, 200)
    raise RuntimeError("a fault of ours")


def scopeless(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse({"scope": current_scope() is not None})


urlpatterns = [
    path("admin/phones", phones),
    path("admin/lazily", lazily),
    path("admin/adding/<int:status>", adding),
    path("admin/breaking", breaking),
    path("elsewhere", scopeless),
]
