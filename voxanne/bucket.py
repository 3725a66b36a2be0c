"""An S3-compatible bucket as Django's storage, loaded only where ``MEDIA_STORAGE_URL`` names one.

What goes wrong there is an ``OSError``, as with a folder: who keeps a file need not know where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

CONNECT_SECONDS, READ_SECONDS = 3, 20
TRIES = 2
# What is larger is sent in parts of this size, and read through a file instead of memory.
PART_BYTES = 8 * 1024 * 1024


class BucketFault(OSError):
    """The bucket is away, refuses, or answers what nobody understands; the text names the kind and no address."""


@contextmanager
def _told_as_files_are() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, Boto3Error) as error:
        raise BucketFault(type(error).__name__) from error
    except ClientError as error:
        raise BucketFault(str(error.response.get("Error", {}).get("Code", "unknown"))) from error


class Bucket(S3Storage):  # type: ignore[misc]  # the package has no types
    """Private objects, addressed by path, at any host that speaks S3's protocol."""

    def get_default_settings(self) -> dict[str, Any]:
        return {
            **super().get_default_settings(),
            "addressing_style": "path",
            "signature_version": "s3v4",
            "default_acl": None,
            "file_overwrite": False,
            "max_memory_size": PART_BYTES,
            "client_config": Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": TRIES},
                s3={"addressing_style": "path"},
                signature_version="s3v4",
                # Checksums of Amazon's own that others refuse.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        }

    def _open(self, name: str, mode: str = "rb") -> Any:
        with _told_as_files_are():
            return super()._open(name, mode)

    def _save(self, name: str, content: Any) -> str:
        with _told_as_files_are():
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        with _told_as_files_are():
            super().delete(name)

    def exists(self, name: str) -> bool:
        with _told_as_files_are():
            return bool(super().exists(name))
