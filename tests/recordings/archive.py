"""A clinic that keeps recordings, as a test handles it: a call ends, its recording is queued, fetched and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from telephony.models import Call, CallSettings, Recording
from telephony.recordings.keeping import RECORDING, queue_recording
from tests.clinics import Clinic
from tests.sandbox.running import RunningSandbox
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

_serial = count(1)


@dataclass
class Archive:
    clinic: Clinic
    sandbox: RunningSandbox
    folder: Path

    def keep_recordings(self, keep: bool = True, days: int = 30) -> None:
        with org_scope(self.clinic.id):
            CallSettings.objects.update_or_create(
                org=self.clinic.org, defaults={"record_calls": keep, "recording_days": days}
            )

    def ended_call(self, **at_vapi: Any) -> Call:
        """A call that Vapi knows, with a recording of a tone."""
        call_id = f"call-{next(_serial)}"
        known = {"assistantId": self.clinic.assistant_id, "status": "ended", **at_vapi}
        self.sandbox.control("/vapi/calls", {"id": call_id, **known})
        with org_scope(self.clinic.id):
            return Call.objects.create(
                org=self.clinic.org, vapi_call_id=call_id, status="ended", from_number="+14155550142"
            )

    def queue(self, call: Call, source_url: str = "") -> bool:
        with org_scope(call.org_id):
            return queue_recording(call.org_id, call.pk, source_url)

    def try_once(self, call: Call) -> Settlement | None:
        """One try, as a worker makes it; None when nothing is due."""
        claimed = work.claim(RECORDING, call.org_id, self.of(call).pk)
        return work.perform(RECORDING, claimed) if claimed else None

    def stored(self, **at_vapi: Any) -> Recording:
        call = self.ended_call(**at_vapi)
        assert self.queue(call)
        self.try_once(call)
        found = self.of(call)
        assert found.state == "stored", found.last_error
        return found

    def of(self, call: Call) -> Recording:
        with org_scope(call.org_id):
            return Recording.objects.get(call=call)

    def now(self, recording: Recording) -> Recording:
        with org_scope(recording.org_id):
            return Recording.objects.get(pk=recording.pk)

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())
