from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.running import CLINIC, PATIENT, RunningSandbox, free_port, twilio_client


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningSandbox]:
    """A sandbox of this test's own, to stop and start."""
    running = RunningSandbox(tmp_path, free_port())
    running.start()
    yield running
    running.stop()


def test_sids_known_before_a_restart_are_listed_after_it(own: RunningSandbox) -> None:
    own.control("/settings", {"step_seconds": 0.02})
    sent = twilio_client(own.url).messages.create(to=PATIENT, from_=CLINIC, body="Hi")
    own.wait_for(lambda: own.texts()[0]["status"] == "delivered")
    own.control("/vapi/calls", {"id": "call-1", "customer": {"number": PATIENT}})
    own.control("/vapi/calls/call-1/events", {"type": "booked", "text": "Tuesday at nine"})
    own.control("/google/events", {"calendar": "dr@clinic.example", "event": _event()})
    own.control("/numbers", {"number": CLINIC, "sms_url": "http://127.0.0.1:9/sms"})
    own.stop()
    own.start()
    fetched = twilio_client(own.url).messages(sent.sid).fetch()
    assert (fetched.status, fetched.body, fetched.date_sent is not None) == ("delivered", "Hi", True)
    assert own.control("/vapi/calls/call-1")["events"][0]["type"] == "booked"
    assert [one["summary"] for one in own.control("/google/events")] == ["Lunch"]
    assert own.control("/numbers")[0]["number"] == CLINIC


def test_a_text_under_way_at_a_restart_still_arrives(own: RunningSandbox) -> None:
    own.control("/settings", {"step_seconds": 0.4})
    twilio_client(own.url).messages.create(to=PATIENT, from_=CLINIC, body="Hi")
    own.wait_for(lambda: own.texts()[0]["status"] == "sending")
    own.stop()
    own.start()
    assert own.wait_for(lambda: own.texts()[0]["status"] == "delivered")


def test_a_kill_loses_nothing_older_than_the_flush(own: RunningSandbox) -> None:
    sent = twilio_client(own.url).messages.create(to=PATIENT, from_=CLINIC, body="Hi")
    time.sleep(0.3)
    own.stop(signal.SIGKILL)
    with (own.data_dir / "journal.jsonl").open("a") as journal:
        journal.write('{"kind":"twilio.message","data":{"sid"')
    own.start()
    assert twilio_client(own.url).messages(sent.sid).fetch().body == "Hi"


def test_faults_and_settings_do_not_survive_a_restart(own: RunningSandbox) -> None:
    own.fault("server_error")
    own.control("/settings", {"latency_seconds": 5})
    own.stop()
    own.start()
    assert own.control("/faults") == []
    assert own.control("/settings")["latency_seconds"]["twilio"] == 0


def test_a_reset_is_remembered_too(own: RunningSandbox) -> None:
    twilio_client(own.url).messages.create(to=PATIENT, from_=CLINIC, body="Hi")
    own.control("/reset", {})
    own.stop()
    own.start()
    assert own.texts() == []


def test_the_sandbox_imports_neither_the_product_nor_django() -> None:
    program = (
        "import sys, voxanne.sandbox.__main__\n"
        "foreign = [n for n in sys.modules if n.split('.')[0] in "
        "('django', 'celery', 'bookings', 'telephony', 'messaging', 'monitoring')]\n"
        "ours = [n for n in sys.modules if n.startswith('voxanne.')]\n"
        "foreign += [n for n in ours if not n.startswith('voxanne.sandbox')]\n"
        "sys.exit(', '.join(foreign) or 0)"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def _event() -> dict[str, object]:
    return {
        "summary": "Lunch",
        "start": {"dateTime": "2026-11-24T12:00:00Z"},
        "end": {"dateTime": "2026-11-24T13:00:00Z"},
    }
