"""How a try goes in the machine of ``fates.py``: at Twilio, on the way, or by the fault or the end of a worker."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from messaging.models import Message
from messaging.sending import delivery
from messaging.sending.delivery import Prepared
from voxanne.durable.settlement import Settlement

# Likely mishaps more often than rare ones.
ANSWERS = st.sampled_from(
    ["accepted"] * 4 + ["lost after"] * 3 + ["lost before"] * 2 + ["taken late"] * 3 + ["no words after"]
    + ["no words before", "breaks off", "busy", "faulty", "refused", "opted out", "account"]
    + ["never connected", "raised before", "raised after"]
)  # fmt: skip
# Such a fault of ours leaves the try's row without a request: nothing of it reached Twilio.
NEVER_LEFT = ("never connected", "raised before")


class Killed(BaseException):
    """The end of a worker: nothing that catches faults of ours catches this."""


def die_after_sending(message: Message, prepared: Prepared | Settlement) -> Settlement:
    delivery.deliver(message, prepared)
    raise Killed


def a_fault_of_ours(*args: Any, **more: Any) -> Any:
    raise RuntimeError("a fault of ours")
