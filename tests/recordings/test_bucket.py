"""Recordings in a bucket: kept, heard and deleted over S3's protocol, and what happens while it is away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from telephony.models import Recording
from telephony.recordings.keeping import delete_recording, remove_file
from telephony.recordings.links import link_to
from tests.recordings import s3_server
from tests.recordings.archive import Archive
from tests.recordings.s3_server import Held
from voxanne.bucket import PART_BYTES, BucketFault
from voxanne.media_storage import media_storage


@pytest.fixture
def bucket(settings: Any) -> Iterator[Held]:
    """A bucket of this test's own, which is where recordings go."""
    with s3_server.running() as held:
        settings.STORAGES = {**settings.STORAGES, "default": media_storage(held.url)}
        yield held


def heard(recording: Recording, archive: Archive, **headers: str) -> Any:
    return Client().get(link_to(recording, archive.clinic.staff["owner"]), headers=headers)


def test_a_recording_is_kept_in_the_bucket_and_nowhere_else(bucket: Held, archive: Archive) -> None:
    recording = archive.stored(recordingSeconds=0.5)
    name = f"voxanne/recordings/{archive.clinic.id}/{recording.pk}.wav"
    assert list(bucket.objects) == [name]
    assert hashlib.sha256(bucket.objects[name]).hexdigest() == recording.sha256
    assert bucket.types[name] == "audio/x-wav"
    assert archive.files() == []


def test_it_is_heard_from_there_whole_and_in_part(bucket: Held, archive: Archive) -> None:
    recording = archive.stored(recordingSeconds=0.5)
    (whole,) = bucket.objects.values()
    answer = heard(recording, archive)
    assert (answer.status_code, b"".join(answer.streaming_content)) == (200, whole)
    answer = heard(recording, archive, Range="bytes=100-299")
    assert (answer.status_code, b"".join(answer.streaming_content)) == (206, whole[100:300])
    assert not answer.has_header("Location"), "the bucket's address goes to nobody"


def test_a_deleted_recording_leaves_the_bucket(bucket: Held, archive: Archive) -> None:
    recording = archive.stored(recordingSeconds=0.5)
    delete_recording(recording.org_id, recording.pk, "Asked for.")
    assert bucket.objects == {}
    assert archive.now(recording).storage_name == ""
    assert heard(recording, archive).status_code in (404, 410)


def test_a_bucket_that_refuses_has_the_recording_tried_again(bucket: Held, archive: Archive) -> None:
    bucket.refuse = (403, "AccessDenied")
    call = archive.ended_call(recordingSeconds=0.5)
    archive.queue(call)
    archive.try_once(call)
    waiting = archive.of(call)
    assert (waiting.state, waiting.last_error) == ("queued", "It could not be stored (BucketFault).")
    bucket.refuse = None
    with archive_due(waiting):
        archive.try_once(call)
    assert archive.of(call).state == "stored"


def test_a_bucket_that_is_away_keeps_the_name_of_what_is_to_be_removed(
    bucket: Held, archive: Archive
) -> None:
    recording = archive.stored(recordingSeconds=0.5)
    bucket.refuse = (503, "SlowDown")
    delete_recording(recording.org_id, recording.pk, "Asked for.")
    assert archive.now(recording).storage_name
    assert heard(recording, archive).status_code == 404
    bucket.refuse = None
    remove_file(recording.org_id, recording.pk)
    assert bucket.objects == {}


def test_a_long_recording_goes_and_comes_in_parts(bucket: Held) -> None:
    content = bytes(range(256)) * (PART_BYTES // 256 + 4096)
    name = default_storage.save("long.wav", ContentFile(content))
    assert bucket.objects == {"voxanne/long.wav": content}
    assert sum("POST" in asked for asked in bucket.asked) == 2
    with default_storage.open(name) as file:
        assert file.read() == content


def test_what_is_not_there_is_a_file_that_is_not_there(bucket: Held) -> None:
    assert not default_storage.exists("nothing.wav")
    with pytest.raises(FileNotFoundError):
        default_storage.open("nothing.wav")
    default_storage.delete("nothing.wav")


@pytest.mark.parametrize("refusal", [(403, "SignatureDoesNotMatch"), (500, "InternalError")])
def test_a_fault_names_its_kind_and_no_secret(bucket: Held, refusal: tuple[int, str]) -> None:
    bucket.refuse = refusal
    with pytest.raises(BucketFault) as caught:
        default_storage.save("a.wav", ContentFile(b"sound"))
    assert s3_server.SECRET not in str(caught.value)
    assert str(bucket.port) not in str(caught.value)


def test_a_bucket_where_nobody_answers_is_a_fault_too(bucket: Held, settings: Any) -> None:
    nobody = bucket.url.replace(f":{bucket.port}/", ":1/")
    settings.STORAGES = {**settings.STORAGES, "default": media_storage(nobody)}
    with pytest.raises(BucketFault, match="EndpointConnectionError"):
        default_storage.save("a.wav", ContentFile(b"sound"))


def archive_due(recording: Recording) -> Any:
    """The moment at which the recording's next try is due."""
    return time_machine.travel(recording.next_attempt_at + timedelta(seconds=1), tick=True)
