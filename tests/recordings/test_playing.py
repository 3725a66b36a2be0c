"""Hearing a recording: on the call's page, by a link that soon runs out, for those who may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.core.signing import TimestampSigner
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from telephony.models import Recording
from telephony.recordings.links import SALT, link_to
from telephony.recordings.view import wanted_part
from tests.clinics import Clinic
from tests.recordings.archive import Archive
from voxanne.tenancy.models import AuditEntry, Membership, Role, User
from voxanne.tenancy.scope import org_scope

YES = {"_form_submitted": "1"}


def signed_in(person: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(person, backend="voxanne.tenancy.permissions.MembershipBackend")
    return client


def sound_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


@pytest.fixture
def kept(archive: Archive) -> Recording:
    return archive.stored(recordingSeconds=1.0)


@pytest.fixture
def whole(archive: Archive, kept: Recording) -> bytes:
    return archive.files()[0].read_bytes()


def link_for(kept: Recording, archive: Archive, role: str = "receptionist") -> str:
    return link_to(kept, archive.clinic.staff[role])


# On the pages


@pytest.mark.parametrize("role", ["owner", "manager", "receptionist"])
def test_staff_hear_the_recording_on_the_calls_page(
    archive: Archive, kept: Recording, whole: bytes, role: str
) -> None:
    client = signed_in(archive.clinic.staff[role])
    page = client.get(reverse("admin:telephony_call_change", args=[kept.call_id])).content.decode()
    address = reverse("admin:telephony_recording_listen", args=[kept.pk])
    assert f'<audio controls preload="none" src="{address}"></audio>' in page
    answer = client.get(address)
    assert answer.status_code == 302
    assert "no-store" in answer["Cache-Control"]
    assert sound_of(Client().get(answer["Location"])) == whole


def test_a_viewer_hears_and_sees_nothing_of_it(archive: Archive, kept: Recording) -> None:
    client = signed_in(archive.clinic.staff["viewer"])
    page = client.get(reverse("admin:telephony_call_change", args=[kept.call_id]))
    assert page.status_code == 200
    assert "<audio" not in page.content.decode()
    for name in ("change", "listen"):
        answer = client.get(reverse(f"admin:telephony_recording_{name}", args=[kept.pk]))
        assert answer.status_code in (302, 403, 404)
        assert "/media/" not in answer.get("Location", "")
    assert client.get(reverse("admin:telephony_recording_changelist")).status_code == 403
    assert Client().get(link_for(kept, archive, "viewer")).status_code == 404


def test_staff_of_another_clinic_do_not_find_it(archive: Archive, kept: Recording, oak: Clinic) -> None:
    client = signed_in(oak.staff["owner"])
    answer = client.get(reverse("admin:telephony_recording_listen", args=[kept.pk]))
    assert answer.status_code == 404
    assert Client().get(link_to(kept, oak.staff["owner"])).status_code == 404


def test_nobody_signed_out_gets_a_link(archive: Archive, kept: Recording) -> None:
    answer = Client().get(reverse("admin:telephony_recording_listen", args=[kept.pk]))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_who_heard_it_stands_in_the_trail_once(archive: Archive, kept: Recording) -> None:
    client = signed_in(archive.clinic.staff["owner"])
    for _ in range(3):
        client.get(reverse("admin:telephony_recording_listen", args=[kept.pk]))
    with org_scope(archive.clinic.id):
        trail = list(AuditEntry.objects.values_list("action", "subject", "actor_id"))
    assert trail == [("recording.listen", f"recordings:{kept.pk}", archive.clinic.staff["owner"].pk)]


def test_an_owner_deletes_it_with_a_reason_and_a_receptionist_cannot(
    archive: Archive, kept: Recording
) -> None:
    page = reverse("admin:telephony_recording_change", args=[kept.pk])
    names = [url.name for url in admin_urls() if url.name and url.name.endswith("delete_this")]
    address = reverse(f"admin:{names[0]}", args=[kept.pk])
    assert (
        signed_in(archive.clinic.staff["receptionist"]).post(address, {**YES, "reason": "x"}).status_code
        == 403
    )
    owner = signed_in(archive.clinic.staff["owner"])
    assert owner.get(page).status_code == 200
    answer = owner.post(address, {**YES, "reason": "The patient asked for it."})
    assert answer.status_code in (200, 302)
    assert (archive.now(kept).state, archive.files()) == ("deleted", [])
    with org_scope(archive.clinic.id):
        entry = AuditEntry.objects.get(action="recording.delete")
    assert entry.reason == "The patient asked for it."
    assert Client().get(link_for(kept, archive, "owner")).status_code == 404


def admin_urls() -> list[Any]:
    return admin.site._registry[Recording].get_urls()


def test_the_clinic_turns_recording_on_itself(archive: Archive) -> None:
    archive.keep_recordings(False)
    with org_scope(archive.clinic.id):
        row = archive.clinic.org.callsettings_set.get()
    address = reverse("admin:telephony_callsettings_change", args=[row.pk])
    chosen = {"record_calls": "on", "recording_days": "14"}
    assert signed_in(archive.clinic.staff["receptionist"]).post(address, chosen).status_code == 403
    assert signed_in(archive.clinic.staff["manager"]).post(address, chosen).status_code == 302
    assert archive.queue(archive.ended_call())
    too_long = {**chosen, "recording_days": "0"}
    assert signed_in(archive.clinic.staff["manager"]).post(address, too_long).status_code == 200


# The link


def test_a_link_runs_out(archive: Archive, kept: Recording) -> None:
    address = link_for(kept, archive)
    with time_machine.travel(timezone.now() + timedelta(minutes=4, seconds=55)):
        assert Client().get(address).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=5)):
        answer = Client().get(address)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_a_link_that_was_altered_or_made_for_something_else_opens_nothing(
    archive: Archive, kept: Recording
) -> None:
    address = link_for(kept, archive)
    signed = address.rpartition("/")[2]
    told = {"r": str(kept.pk), "o": str(kept.org_id), "u": archive.clinic.staff["owner"].pk}
    others = [
        signed[:-1] + ("A" if signed[-1] != "A" else "B"),
        "x" + signed,
        signed.rpartition(":")[0],
        "x",
        TimestampSigner(salt="something else").sign_object(told),
        TimestampSigner(salt=SALT).sign_object({"r": str(kept.pk)}),
        TimestampSigner(salt=SALT).sign_object([1]),
        TimestampSigner(salt=SALT).sign_object({**told, "u": "x"}),
    ]
    for other in others:
        assert Client().get(f"/media/recordings/{other}").status_code == 401, other
    assert Client().post(address).status_code == 405


def test_a_link_names_clinic_and_recording_together(archive: Archive, kept: Recording, oak: Clinic) -> None:
    told = {"r": str(kept.pk), "o": str(oak.id), "u": oak.staff["owner"].pk}
    crossed = TimestampSigner(salt=SALT).sign_object(told)
    assert Client().get(f"/media/recordings/{crossed}").status_code == 404


def test_who_lost_the_right_meanwhile_hears_nothing(archive: Archive, kept: Recording) -> None:
    address = link_for(kept, archive)
    with org_scope(archive.clinic.id):
        Membership.objects.filter(user=archive.clinic.staff["receptionist"]).update(role=Role.VIEWER)
    assert Client().get(address).status_code == 404
    address = link_for(kept, archive, "owner")
    User.objects.filter(pk=archive.clinic.staff["owner"].pk).update(is_active=False)
    assert Client().get(address).status_code == 404


def test_an_operator_may_hear_it(archive: Archive, kept: Recording) -> None:
    operator = User.objects.create_superuser("operator", password="correct horse battery")
    answer = signed_in(operator).get(reverse("admin:telephony_recording_listen", args=[kept.pk]))
    assert Client().get(answer["Location"]).status_code == 200


def test_nothing_keeps_a_copy_or_takes_it_for_something_else(archive: Archive, kept: Recording) -> None:
    answer = Client().get(link_for(kept, archive))
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Type"] == "audio/wav"
    assert answer["Accept-Ranges"] == "bytes"


def test_a_file_that_is_gone_is_not_found(archive: Archive, kept: Recording) -> None:
    archive.files()[0].unlink()
    assert Client().get(link_for(kept, archive)).status_code == 404


# Parts


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-99", 206, slice(0, 100)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-44", 206, slice(-44, None)),
        ("bytes=0-", 200, slice(None)),
        ("bytes=0-99999999", 200, slice(None)),
        ("bytes=-99999999", 200, slice(None)),
        ("bytes=10-5", 200, slice(None)),
        ("bytes=0-1,5-9", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("lines=0-1", 200, slice(None)),
        ("bytes=a-b", 200, slice(None)),
        ("bytes=٣-٤", 200, slice(None)),
    ],
)
def test_a_player_gets_the_part_it_asks_for(
    archive: Archive, kept: Recording, whole: bytes, asked: str, status: int, part: slice
) -> None:
    answer = Client().get(link_for(kept, archive), headers={"Range": asked})
    assert answer.status_code == status
    assert sound_of(answer) == whole[part]
    assert answer["Content-Length"] == str(len(whole[part]))
    head = Client().head(link_for(kept, archive), headers={"Range": asked})
    assert (head.status_code, head["Content-Length"], head.content) == (status, answer["Content-Length"], b"")
    if status == 206:
        start, stop, _ = part.indices(len(whole))
        assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=99999999-999999999", "bytes=-0"])
def test_a_part_that_is_not_there_is_refused(
    archive: Archive, kept: Recording, whole: bytes, asked: str
) -> None:
    answer = Client().get(link_for(kept, archive), headers={"Range": asked})
    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{len(whole)}")


RANGES = st.text(max_size=40) | st.from_regex(r"bytes=\d{0,20}-\d{0,20}", fullmatch=True)


@given(asked=RANGES, size=st.integers(1, 10**9))
def test_whatever_is_asked_the_part_lies_inside(asked: str, size: int) -> None:
    part = wanted_part(asked, size)
    assert part is None or (0 <= part.start < part.stop <= size)
