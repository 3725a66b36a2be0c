"""``MEDIA_STORAGE_URL``: read whole, or refused with every fault named and no secret repeated."""

from __future__ import annotations

import pytest

from tests.tenancy.subprocesses import in_production, run
from voxanne.media_storage import LOCAL, UnreadableUrl, media_storage

GOOD = "s3://AKIA1:s3cr%2Fet@s3.eu-north-1.amazonaws.com/clinic-recordings?region=eu-north-1"


def faults(url: str, *, production: bool = False) -> list[str]:
    with pytest.raises(UnreadableUrl) as caught:
        media_storage(url, production=production)
    assert "s3cr" not in str(caught.value)
    return caught.value.faults


def test_unset_is_the_local_folder() -> None:
    assert media_storage("") == LOCAL


def test_a_whole_address_is_read() -> None:
    read = media_storage(GOOD, production=True)
    assert read == {
        "BACKEND": "voxanne.bucket.Bucket",
        "OPTIONS": {
            "access_key": "AKIA1",
            "secret_key": "s3cr/et",
            "endpoint_url": "https://s3.eu-north-1.amazonaws.com",
            "region_name": "eu-north-1",
            "bucket_name": "clinic-recordings",
            "location": "",
        },
    }
    deeper = media_storage("s3+http://k:s3cr@[::1]:9000/clinic-recordings/a/b/?region=auto")["OPTIONS"]
    assert (deeper["endpoint_url"], deeper["location"]) == ("http://[::1]:9000", "a/b")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://k:s3cr@host/bucket?region=auto", "must begin with s3://"),
        ("/var/recordings", "must begin with s3://"),
        ("s3://k:s3cr@host:port/bucket?region=auto", "is no address"),
        ("s3://k:s3cr@[host/bucket?region=auto", "is no address"),
        ("s3://:s3cr@host/bucket?region=auto", "has no key"),
        ("s3://k@host/bucket?region=auto", "has no secret"),
        ("s3://k:s3cr@/bucket?region=auto", "has no host"),
        ("s3://k:s3cr@host/?region=auto", "has no bucket"),
        ("s3://k:s3cr@host/Bad_Bucket?region=auto", "names no bucket that can be"),
        ("s3://k:s3cr@host/bucket", "has no region"),
        ("s3://k:s3cr@host/bucket?region=", "has no region"),
        ("s3://k:s3cr@host/bucket?region=auto&acl=public-read", "more behind its question mark"),
        ("s3://k:s3cr@host/bucket?region=auto#part", "has a # in it"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(url: str, fault: str) -> None:
    (told,) = faults(url)
    assert told.startswith("MEDIA_STORAGE_URL ")
    assert fault in told


def test_every_fault_is_named_at_once() -> None:
    assert len(faults("s3://k@/?acl=x")) == 5


def test_production_insists_on_encryption_on_the_way() -> None:
    plain = GOOD.replace("s3://", "s3+http://")
    assert media_storage(plain)["OPTIONS"]["endpoint_url"].startswith("http://")
    assert faults(plain, production=True) == [
        "MEDIA_STORAGE_URL must begin with s3:// in production: s3+http:// is not encrypted on the way."
    ]


def test_production_does_not_start_with_a_bad_one() -> None:
    program = "import django; django.setup(); print('started')"
    environment = in_production("postgresql://someone:else@127.0.0.1:1/nowhere")
    assert run(program, **environment, MEDIA_STORAGE_URL=GOOD).stdout.endswith("started\n")
    ran = run(program, **environment, MEDIA_STORAGE_URL="s3://AKIA1:s3cret@host/?region=auto")
    assert ran.returncode != 0
    assert "- MEDIA_STORAGE_URL has no bucket" in ran.stderr
    assert "s3cret" not in ran.stderr
