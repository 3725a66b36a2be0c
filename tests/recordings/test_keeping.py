from __future__ import annotations

import hashlib
import stat
import threading
import wave
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from telephony.models import Call, CallSettings, Recording
from telephony.recordings import keeping
from telephony.recordings.keeping import RECORDING, delete_recording, forget_old_recordings, queue_recording
from tests.clinics import Clinic
from tests.recordings.archive import Archive
from tests.telephony.vapi_client import VapiCaller
from tests.telephony.webhooks import news
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope


def test_a_calls_recording_is_fetched_and_kept(archive: Archive) -> None:
    recording = archive.stored(recordingSeconds=0.5)
    [path] = archive.files()
    content = path.read_bytes()
    assert recording.size == len(content)
    assert recording.sha256 == hashlib.sha256(content).hexdigest()
    assert recording.content_type == "audio/wav"
    assert recording.stored_at is not None
    assert recording.source_url == ""
    with wave.open(str(path)) as file:
        assert file.getnframes() / file.getframerate() == 0.5
    assert path.relative_to(archive.folder).as_posix() == f"recordings/{archive.clinic.id}/{recording.pk}.wav"


def report(archive: Archive, **members: Any) -> Call:
    """A call whose report came in, with these members, over the real address."""
    caller = VapiCaller(archive.clinic, call_id=f"reported-{len(members)}")
    archive.sandbox.control(
        "/vapi/calls",
        {"id": caller.call_id, "status": "ended", "phoneNumberId": archive.clinic.phone_number_id},
    )
    news(caller, "end-of-call-report", endedReason="customer-ended-call", **members)
    with org_scope(archive.clinic.id):
        return Call.objects.get(vapi_call_id=caller.call_id)


def test_a_report_has_the_recording_fetched(archive: Archive) -> None:
    call = report(archive)
    archive.try_once(call)
    assert archive.of(call).state == "stored"


@pytest.mark.parametrize(
    "members",
    [
        {"artifact": {"recording": {"mono": {"combinedUrl": "https://storage.vapi.ai/1.wav"}}}},
        {"artifact": {"presignedMonoUrl": "https://storage.vapi.ai/1.wav", "recording": "odd"}},
        {"artifact": {"recordingUrl": "https://storage.vapi.ai/1.wav", "presignedMonoUrl": "x" * 5000}},
        {"artifact": [], "recordingUrl": "https://storage.vapi.ai/1.wav"},
    ],
)
def test_the_reports_address_is_kept_wherever_it_stands(archive: Archive, members: dict[str, Any]) -> None:
    assert archive.of(report(archive, **members)).source_url == "https://storage.vapi.ai/1.wav"


def test_nobody_else_on_the_machine_can_read_it(archive: Archive) -> None:
    archive.stored()
    [path] = archive.files()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nothing_is_fetched_for_a_clinic_that_did_not_ask_for_it(archive: Archive) -> None:
    call = archive.ended_call()
    with org_scope(archive.clinic.id):
        CallSettings.objects.all().delete()
    assert not archive.queue(call)
    archive.keep_recordings(False)
    assert not archive.queue(call)
    with org_scope(archive.clinic.id):
        assert not Recording.objects.exists()


def test_a_clinic_that_thinks_better_of_it_meanwhile_keeps_nothing(archive: Archive) -> None:
    call = archive.ended_call()
    archive.queue(call)
    archive.keep_recordings(False)
    archive.try_once(call)
    assert (archive.of(call).state, archive.files()) == ("deleted", [])


def test_a_report_told_again_queues_nothing_new(archive: Archive) -> None:
    call = archive.ended_call()
    assert archive.queue(call)
    assert not archive.queue(call)
    archive.try_once(call)
    assert not archive.queue(call, "https://storage.vapi.ai/other.wav")
    assert archive.of(call).state == "stored"


def test_two_reports_at_once_queue_one_recording(archive: Archive) -> None:
    call = archive.ended_call()
    start = threading.Barrier(4)
    queued: list[bool] = []

    def told() -> None:
        start.wait()
        queued.append(archive.queue(call))
        connection.close()

    threads = [threading.Thread(target=told) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(queued) == [False, False, False, True]


def test_what_is_rolled_back_was_never_queued(archive: Archive) -> None:
    call = archive.ended_call()
    with org_scope(archive.clinic.id):
        queue_recording(archive.clinic.id, call.pk)
        transaction.set_rollback(True)
    with org_scope(archive.clinic.id):
        assert not Recording.objects.exists()


def test_the_address_in_the_report_is_encrypted_at_rest(archive: Archive) -> None:
    call = archive.ended_call()
    archive.queue(call, "https://storage.vapi.ai/the-secret-address.wav")
    with org_scope(archive.clinic.id), connection.cursor() as cursor:
        cursor.execute("SELECT source_url FROM recordings")
        assert "secret" not in cursor.fetchone()[0]
    assert archive.of(call).source_url.endswith("the-secret-address.wav")


def test_a_worker_that_died_while_fetching_leaves_one_file_in_the_end(archive: Archive) -> None:
    call = archive.ended_call()
    archive.queue(call)
    claimed = work.claim(RECORDING, call.org_id, archive.of(call).pk)
    assert claimed is not None
    late = keeping.perform(claimed.row, claimed.prepared)
    with org_scope(archive.clinic.id):
        Recording.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert work.release_lost(RECORDING) == 1
    archive.try_once(call)
    assert archive.of(call).state == "stored"
    assert not work.settle(claimed.row, late)
    recordings_left = archive.files()
    assert len(recordings_left) == 1
    assert recordings_left[0].stat().st_size == archive.of(call).size


def test_a_worker_that_comes_back_after_a_deletion_leaves_no_file(archive: Archive) -> None:
    call = archive.ended_call()
    archive.queue(call)
    claimed = work.claim(RECORDING, call.org_id, archive.of(call).pk)
    assert claimed is not None
    with org_scope(archive.clinic.id):
        Recording.objects.update(state="deleted", claim_token=None)
    work.perform(RECORDING, claimed)
    assert (archive.of(call).state, archive.files()) == ("deleted", [])


def test_a_full_disk_is_tried_again(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    call = archive.ended_call()
    archive.queue(call)
    with monkeypatch.context() as patch:
        patch.setattr(default_storage, "save", full)
        archive.try_once(call)
    waiting = archive.of(call)
    assert (waiting.state, waiting.last_error) == ("queued", "It could not be stored (OSError).")
    assert waiting.next_attempt_at > timezone.now()


# Deleting


def age(recording: Recording, days: float) -> None:
    with org_scope(recording.org_id):
        Recording.objects.filter(pk=recording.pk).update(created_at=timezone.now() - timedelta(days=days))


def test_a_recording_is_kept_as_long_as_its_clinic_chose(archive: Archive, oak: Clinic) -> None:
    theirs = Archive(oak, archive.sandbox, archive.folder)
    theirs.keep_recordings(days=3)
    archive.keep_recordings(days=7)
    kept, outlived = archive.stored(), archive.stored()
    short = theirs.stored()
    age(kept, 6.9)
    age(outlived, 7.1)
    age(short, 3.1)
    assert forget_old_recordings() == 2
    assert [archive.now(each).state for each in (kept, outlived, short)] == ["stored", "deleted", "deleted"]
    assert [path.stem for path in archive.files()] == [str(kept.pk)]
    assert archive.now(outlived).storage_name == ""
    assert archive.now(outlived).deleted_at is not None
    assert forget_old_recordings() == 0


def test_a_clinic_that_stopped_recording_without_a_choice_keeps_thirty_days(archive: Archive) -> None:
    recording = archive.stored()
    with org_scope(archive.clinic.id):
        CallSettings.objects.all().delete()
    age(recording, 29)
    assert forget_old_recordings() == 0
    age(recording, 31)
    assert forget_old_recordings() == 1


def test_many_are_cleaned_up_in_portions(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "ROWS_AT_A_TIME", 2)
    for _ in range(5):
        age(archive.stored(recordingSeconds=0.05), 40)
    assert forget_old_recordings() == 5
    assert archive.files() == []


def test_a_file_that_could_not_be_removed_is_come_back_for(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(name: str) -> None:
        raise PermissionError(name)

    recording = archive.stored()
    with monkeypatch.context() as patch:
        patch.setattr(default_storage, "delete", locked)
        assert delete_recording(recording.org_id, recording.pk, "A patient asked for it.")
        forget_old_recordings()
    assert archive.now(recording).state == "deleted"
    assert len(archive.files()) == 1
    forget_old_recordings()
    assert archive.files() == []


def test_a_deletion_that_is_rolled_back_leaves_the_file(archive: Archive) -> None:
    recording = archive.stored()
    with org_scope(archive.clinic.id):
        assert delete_recording(recording.org_id, recording.pk, "By mistake.")
        transaction.set_rollback(True)
    assert archive.now(recording).state == "stored"
    assert len(archive.files()) == 1
