"""The narrow look-ups made before a clinic is known: they tell ids, and nothing of a clinic that is closed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from bookings.models import Appointment
from messaging.models import Message
from telephony.models import ActiveCall, WebhookDelivery
from telephony.vapi.credentials import digest
from tests.clinics import Clinic
from tests.tenancy.rows import make_row
from voxanne.tenancy.access import roles_of
from voxanne.tenancy.models import Role
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

SID = "SM" + "7" * 32
IDS = "SETOF uuid"
ID_AND_VERSION = "TABLE(org_id uuid, plan_version bigint)"
ID_VERSION_AND_MESSAGE = "TABLE(org_id uuid, plan_version bigint, message_id uuid)"
ID_VERSION_AND_VISIT = "TABLE(org_id uuid, plan_version bigint, appointment_id uuid)"

# Each look-up: what it may tell, and how a clinic of ours is asked for.
Asked = tuple[str, Callable[[Clinic], tuple[Any, ...]]]
LOOK_UPS: dict[str, Asked] = {
    "clinics_of_user": (
        "TABLE(org_id uuid, role character varying)",
        lambda clinic: (clinic.staff["owner"].pk,),
    ),
    "clinic_of_slug": (ID_AND_VERSION, lambda clinic: (clinic.org.slug,)),
    "clinic_of_vapi_secret": (IDS, lambda clinic: (digest(clinic.secret),)),
    "clinics_of_vapi_call": (ID_AND_VERSION, lambda clinic: (clinic.assistant_id, "", "")),
    "clinic_of_sender": (ID_AND_VERSION, lambda clinic: (clinic.number,)),
    "clinic_of_message": (ID_AND_VERSION, lambda clinic: (text_of(clinic).pk,)),
    "message_of_sid": (ID_VERSION_AND_MESSAGE, lambda clinic: (text_of(clinic).provider_sid,)),
    "clinic_of_active_call": (ID_AND_VERSION, lambda clinic: (ringing_at(clinic).pk,)),
    "clinic_of_webhook": (IDS, lambda clinic: (webhook_of(clinic).pk,)),
    "is_patient_number": ("boolean", lambda clinic: (clinic.number,)),
    "is_number_of_another_clinic": ("boolean", lambda clinic: (clinic.number, uuid.uuid4())),
    "clinic_of_visit": (ID_VERSION_AND_VISIT, lambda clinic: (visit_of(clinic).pk,)),
    "clinic_of_token": (ID_AND_VERSION, lambda clinic: (clinic.id,)),
}
# Word of a text that went out is taken in whatever became of its clinic, and a number stays ours until it is freed.
ALSO_OF_CLOSED_CLINICS = {
    "clinic_of_message",
    "clinic_of_webhook",
    "message_of_sid",
    "is_patient_number",
    "is_number_of_another_clinic",
}
YES_OR_NO = {"is_patient_number", "is_number_of_another_clinic"}
EACH = pytest.mark.parametrize("name", sorted(LOOK_UPS))


def text_of(clinic: Clinic) -> Message:
    with org_scope(clinic.id):
        found = Message.objects.first()
        if found is None:
            found = make_row(Message, clinic.org, provider_sid=SID[:-3] + clinic.org.slug[:3])
    return found


def ringing_at(clinic: Clinic) -> ActiveCall:
    with org_scope(clinic.id):
        return ActiveCall.objects.first() or make_row(ActiveCall, clinic.org)


def webhook_of(clinic: Clinic) -> WebhookDelivery:
    with org_scope(clinic.id):
        found: WebhookDelivery = WebhookDelivery.objects.first() or make_row(WebhookDelivery, clinic.org)
    return found


def visit_of(clinic: Clinic) -> Appointment:
    with org_scope(clinic.id):
        return Appointment.objects.first() or make_row(Appointment, clinic.org)


def ask(name: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        places = ", ".join(["%s"] * len(values))
        cursor.execute(f"SELECT * FROM {name}({places})", values)
        return list(cursor.fetchall())


def definers() -> dict[str, tuple[str, list[str]]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname, pg_get_function_result(p.oid), proconfig FROM pg_proc p"
            " JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND prosecdef"
        )
        return {name: (result, config) for name, result, config in cursor.fetchall()}


def test_these_are_all_functions_that_look_past_the_policies() -> None:
    assert set(definers()) == set(LOOK_UPS)


@EACH
def test_a_look_up_tells_ids_only_and_cannot_be_led_to_other_tables(name: str, elm: Clinic) -> None:
    result, config = definers()[name]
    assert result == LOOK_UPS[name][0]
    assert config == ["search_path=public, pg_temp"]


@EACH
def test_a_look_up_finds_its_clinic_without_a_scope_and_no_other(name: str, elm: Clinic, oak: Clinic) -> None:
    for clinic in (elm, oak):
        rows = ask(name, *LOOK_UPS[name][1](clinic))
        assert len(rows) == 1
        assert rows[0][0] == (True if name in YES_OR_NO else clinic.id)


@EACH
def test_a_look_up_tells_nothing_of_a_closed_clinic(name: str, elm: Clinic) -> None:
    asked = LOOK_UPS[name][1](elm)
    with platform_scope("test"):
        elm.org.active = False
        elm.org.save(update_fields=["active"])
    assert bool(ask(name, *asked)) == (name in ALSO_OF_CLOSED_CLINICS)


@EACH
def test_a_look_up_of_nothing_finds_nothing(name: str, elm: Clinic) -> None:
    blanks: dict[str, tuple[Any, ...]] = {
        "clinics_of_user": (0,),
        "clinics_of_vapi_call": ("", "", ""),
        "clinic_of_message": (elm.id,),
        "is_number_of_another_clinic": ("", elm.id),
        "clinic_of_active_call": (elm.id,),
        "clinic_of_webhook": (elm.id,),
        "clinic_of_visit": (elm.id,),
        "clinic_of_token": (uuid4(),),
    }
    found = ask(name, *blanks.get(name, ("",)))
    assert found == ([(False,)] if name in YES_OR_NO else [])


def test_identifiers_of_two_clinics_are_told_apart(elm: Clinic, oak: Clinic) -> None:
    rows = ask("clinics_of_vapi_call", elm.assistant_id, oak.phone_number_id, "")
    assert {org_id for org_id, _ in rows} == {elm.id, oak.id}


def test_a_persons_roles_are_those_at_active_clinics(elm: Clinic, oak: Clinic) -> None:
    assert roles_of(elm.staff["manager"]) == {elm.id: Role.MANAGER}
    with platform_scope("test"):
        elm.org.active = False
        elm.org.save(update_fields=["active"])
    assert roles_of(elm.staff["manager"]) == {}
