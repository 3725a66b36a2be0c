from __future__ import annotations

from collections.abc import Iterator

import pytest
from twilio.rest import Client

from tests.sandbox.running import CLINIC, Receiver, RunningSandbox, start_receiver, twilio_client


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def sandbox(sandbox_process: RunningSandbox) -> RunningSandbox:
    """A sandbox that knows nothing yet and is quick."""
    sandbox_process.control("/reset", {})
    sandbox_process.control("/settings", {"step_seconds": 0.03})
    return sandbox_process


@pytest.fixture(scope="session")
def receiver_process() -> Iterator[Receiver]:
    receiver, server = start_receiver()
    yield receiver
    server.shutdown()


@pytest.fixture
def receiver(receiver_process: Receiver) -> Receiver:
    receiver_process.clear()
    return receiver_process


@pytest.fixture
def twilio(sandbox: RunningSandbox) -> Client:
    return twilio_client(sandbox.url)


@pytest.fixture
def clinic_number(sandbox: RunningSandbox, receiver: Receiver) -> str:
    """A number of ours whose webhooks go to the receiver."""
    sandbox.control(
        "/numbers",
        {
            "number": CLINIC,
            "name": "Elm Street Clinic",
            "sms_url": f"{receiver.url}/sms",
            "voice_url": f"{receiver.url}/voice",
            "status_url": f"{receiver.url}/call-status",
        },
    )
    return CLINIC
