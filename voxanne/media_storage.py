"""``MEDIA_STORAGE_URL``: the bucket in which recordings lie, instead of the data folder.

``s3://<key>:<secret>@<host>[:<port>]/<bucket>[/<folder>]?region=<region>``, at anything that speaks S3's protocol.
Key and secret are percent-encoded where they hold what an address may not. ``s3+http://`` is the same without
encryption on the way: for a server on this machine, never in production.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

NAME = "MEDIA_STORAGE_URL"
SCHEMES = {"s3": "https", "s3+http": "http"}
FORM = "s3://<key>:<secret>@<host>/<bucket>?region=<region>"
# Amazon's own rule; others take no more than that.
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
REGION = re.compile(r"[A-Za-z0-9-]{1,40}")
LOCAL = {"BACKEND": "django.core.files.storage.FileSystemStorage"}


class UnreadableUrl(ValueError):
    """The address cannot be used; ``faults`` say why, one sentence each, and none of them repeats a secret."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


def media_storage(url: str, *, production: bool = False) -> dict[str, Any]:
    """What ``STORAGES["default"]`` is for this address; the local folder for a blank one. Raises UnreadableUrl."""
    if not url:
        return LOCAL
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnreadableUrl([f"{NAME} is no address: it reads like {FORM}."]) from None
    if parts.scheme not in SCHEMES:
        raise UnreadableUrl([f"{NAME} must begin with s3://: it reads like {FORM}."])
    bucket, _, folder = unquote(parts.path).strip("/").partition("/")
    region = parse_qs(parts.query).get("region", [""])[0]
    faults = _faults(parts, bucket, region, production=production)
    if faults:
        raise UnreadableUrl(faults)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return {
        "BACKEND": "voxanne.bucket.Bucket",
        "OPTIONS": {
            "access_key": unquote(parts.username or ""),
            "secret_key": unquote(parts.password or ""),
            "endpoint_url": f"{SCHEMES[parts.scheme]}://{host}{f':{port}' if port else ''}",
            "region_name": region,
            "bucket_name": bucket,
            "location": folder,
        },
    }


def _faults(parts: SplitResult, bucket: str, region: str, *, production: bool) -> list[str]:
    unknown = sorted(set(parse_qs(parts.query, keep_blank_values=True)) - {"region"})
    judged = {
        "has no key: it stands before the first colon, percent-encoded.": not parts.username,
        "has no secret: it stands between the key's colon and the @, percent-encoded.": not parts.password,
        "has no host.": not parts.hostname,
        "has no bucket: it stands behind the host's slash.": not bucket,
        "names no bucket that can be: small letters, digits, dots and hyphens, 3 to 63 of them.": bool(bucket)
        and not BUCKET.fullmatch(bucket),
        "has no region: end it in ?region=, such as us-east-1, or auto.": not REGION.fullmatch(region),
        "has more behind its question mark than region.": bool(unknown),
        "has a # in it: percent-encode it.": bool(parts.fragment),
        "must begin with s3:// in production: s3+http:// is not encrypted on the way.": production
        and parts.scheme != "s3",
    }
    return [f"{NAME} {fault}" for fault, holds in judged.items() if holds]
