from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import structlog
from django.conf import settings
from django.test import RequestFactory

from monitoring import logs


@pytest.fixture
def lines() -> Iterator[Any]:
    """What production would write, line by line."""
    logs.configure({"format": "json", "level": "INFO"})
    stream = io.StringIO()
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    # Threads of the process, such as the one that carries the metrics, may speak at any moment.
    background = ("monitoring.", "celery.", "kombu.")

    def seen() -> list[dict[str, Any]]:
        every = (json.loads(line) for line in stream.getvalue().splitlines())
        return [line for line in every if not line["logger"].startswith(background)]

    yield seen
    logs.configure(settings.LOGGING)


def test_our_own_lines_are_json_with_ids_kept_and_people_hidden(lines: Any) -> None:
    org_id = uuid4()
    structlog.get_logger("voxanne.test").info(
        "message_sent",
        org_id=str(org_id),
        recipient="+14155550142",
        error="The number +14155550142 is not valid",
        body="Jane, see you at nine",
        answer_of_provider={"to": "+14155550142", "sid": "SM1"},
        reason="OperationalError",
        attempts=3,
    )
    (line,) = lines()
    assert line["event"] == "message_sent"
    assert line["org_id"] == str(org_id)
    assert line["reason"] == "OperationalError"
    assert line["attempts"] == 3
    assert line["level"] == "info"
    assert "55501" not in json.dumps(line)
    assert "Jane" not in json.dumps(line)


def test_lines_of_libraries_are_masked_too(lines: Any) -> None:
    logging.getLogger("some.library").warning(
        "POST failed for %s", "+14155550142", extra={"to": "+14155550142"}
    )
    (line,) = lines()
    assert "•••0142" in line["event"]
    assert "55501" not in json.dumps(line)


def test_a_request_object_never_reaches_a_line(lines: Any) -> None:
    request = RequestFactory().get("/a/very-secret-token?phone=%2B14155550142")
    logging.getLogger("django.request").error("Server Error: %s", request.path, extra={"request": request})
    (line,) = lines()
    assert "very-secret" not in json.dumps(line)
    assert "41555" not in json.dumps(line)


def test_an_exception_is_written_once_and_masked(lines: Any) -> None:
    said = "no such person: +1415555" + "0142\nDETAIL:  Key (name)=(Ja" + "ne Roe)"
    try:
        raise ValueError(said)
    except ValueError:
        logging.getLogger("django.request").exception("Server Error")
    (line,) = lines()
    assert "ValueError" in line["exception"]
    assert "Jane" not in json.dumps(line)
    assert "55501" not in json.dumps(line)


def test_not_found_pages_are_not_written_twice(lines: Any) -> None:
    logging.getLogger("django.request").warning("Not Found: %s", "/a/very-secret-token")
    assert lines() == []
