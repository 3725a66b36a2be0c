"""One socket, from its first message to its last: signing in, resuming, listening, and being asked again who it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError

from telephony.live.controls import CONTROLS, Refused, carry_out, named_clinic, read_order
from telephony.live.hub import Hub, TooMany
from telephony.live.listener import (
    NOT_ALLOWED,
    NOT_SIGNED_IN,
    TOO_MANY,
    TRY_AGAIN_LATER,
    Listener,
    message,
)
from telephony.live.threads import off_the_loop
from telephony.live.watchers import Credential, NotAllowed, NotSignedIn, Watcher, watcher_of

logger = structlog.get_logger(__name__)

SIGN_IN_SECONDS = 5.0
# A client that resumes says so at once; only then is it spared the snapshot.
RESUME_GRACE_SECONDS = 0.25
RECHECK_SECONDS = 10.0
MOST_UNREAD = 50
# A person types no faster, and a program has no reason to.
MESSAGES_A_SECOND, MOST_AT_ONCE = 5.0, 40.0

Send = Callable[[str], Awaitable[None]]
Said = Mapping[str, Any]


class Closing(Exception):
    """The socket is to be closed with ``code``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Attendance:
    """``hear`` takes what the client says; ``attend`` runs until the socket is to be closed."""

    def __init__(self, hub: Hub, send: Send, credential: Credential) -> None:
        self._hub = hub
        self._send = send
        self._credential = credential
        self._inbox: asyncio.Queue[str] = asyncio.Queue(MOST_UNREAD)
        self._allowance = MOST_AT_ONCE
        self._counted_at = 0.0
        self._watcher: Watcher
        self._listener: Listener
        self._overrun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def hear(self, text: str) -> None:
        """A client's message. Too many too fast end the socket."""
        now = asyncio.get_running_loop().time()
        gained = (now - self._counted_at) * MESSAGES_A_SECOND
        self._allowance = min(MOST_AT_ONCE, self._allowance + gained) - 1
        self._counted_at = now
        if self._allowance < 0 or self._inbox.full():
            if not self._overrun.done():
                self._overrun.set_result(TOO_MANY)
            return
        self._inbox.put_nowait(text)

    async def attend(self) -> int:
        """The code with which the socket is to be closed."""
        work = asyncio.create_task(self._admitted())
        try:
            await asyncio.wait({work, self._overrun}, return_when=asyncio.FIRST_COMPLETED)
            return self._overrun.result() if self._overrun.done() else work.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _admitted(self) -> int:
        """Counted from the start: those who have not signed in yet take room too."""
        name = ""
        try:
            self._hub.admit()
        except TooMany:
            return TOO_MANY
        try:
            self._watcher = await self._sign_in()
            self._hub.admit(self._watcher.name)
            self._hub.dismiss(name)
            name = self._watcher.name
            return await self._watch()
        except TooMany:
            return TOO_MANY
        except NotSignedIn:
            return NOT_SIGNED_IN
        except NotAllowed:
            return NOT_ALLOWED
        except DatabaseError as error:
            logger.warning("live_sign_in_failed", reason=type(error).__name__)
            return TRY_AGAIN_LATER
        except Closing as closing:
            return closing.code
        finally:
            self._hub.dismiss(name)

    # --- Signing in --------------------------------------------------------------------------------

    async def _sign_in(self) -> Watcher:
        """By the session's cookie, else by a first message with a token. Raises NotSignedIn or NotAllowed."""
        if self._credential.session_key:
            try:
                return await off_the_loop(lambda: watcher_of(self._credential))
            except NotSignedIn:
                pass
        said = await self._first_message()
        token = said.get("token")
        if said.get("type") != "auth" or not isinstance(token, str) or not token:
            raise NotSignedIn
        self._credential = Credential(token=token, clinic=self._credential.clinic)
        return await off_the_loop(lambda: watcher_of(self._credential))

    async def _first_message(self) -> Said:
        try:
            async with asyncio.timeout(SIGN_IN_SECONDS):
                return _read(await self._inbox.get()) or {}
        except TimeoutError as error:
            raise NotSignedIn from error

    async def _recheck(self) -> int:
        """Asks again who this is, for as long as the socket lives: people leave, and roles change."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                watcher = await off_the_loop(lambda: watcher_of(self._credential))
            except NotSignedIn:
                return NOT_SIGNED_IN
            except NotAllowed:
                return NOT_ALLOWED
            except DatabaseError:
                # Nobody can tell now, and nothing new is told either while the database is away.
                continue
            self._become(watcher)

    def _become(self, watcher: Watcher) -> None:
        before, now = self._watcher.clinics, watcher.clinics
        self._watcher = watcher
        self._listener.rights = dict(now)
        for org_id in before.keys() - now.keys():
            self._hub.leave(org_id, self._listener)
        for org_id in now.keys() - before.keys():
            self._hub.join(org_id, self._listener)

    # --- Listening ---------------------------------------------------------------------------------

    async def _watch(self) -> int:
        self._listener = Listener(self._watcher.clinics)
        resumed, others = await self._resumes()
        try:
            for org_id in self._watcher.clinics:
                self._hub.join(org_id, self._listener, resumed.get(org_id))
            return await self._first_to_end(self._tell(), self._obey(others), self._recheck())
        finally:
            for org_id in self._watcher.clinics:
                self._hub.leave(org_id, self._listener)

    async def _first_to_end(self, *parts: Any) -> int:
        """The code of the part that ends first, or of the listener; the others are ended with it."""
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait({*tasks, self._listener.closing}, return_when=asyncio.FIRST_COMPLETED)
            if self._listener.closing.done():
                return self._listener.closing.result()
            return int(next(task for task in tasks if task.done()).result())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _resumes(self) -> tuple[dict[UUID, int], list[str]]:
        """From where the client goes on, by clinic; and what else it said meanwhile."""
        found: dict[UUID, int] = {}
        others: list[str] = []
        try:
            async with asyncio.timeout(RESUME_GRACE_SECONDS):
                while len(found) < len(self._watcher.clinics) and not others:
                    text = await self._inbox.get()
                    wish = self._resume_in(_read(text))
                    if wish is None:
                        others.append(text)
                    else:
                        found[wish[0]] = wish[1]
        except TimeoutError:
            pass
        return found, others

    def _resume_in(self, said: Said | None) -> tuple[UUID, int] | None:
        if said is None or said.get("type") != "resume":
            return None
        seq = said.get("seq")
        try:
            clinic = named_clinic(self._watcher, said)
        except Refused:
            return None
        is_number = isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 2**53
        return (clinic, seq) if is_number and seq is not None else None

    async def _tell(self) -> int:
        while True:
            text = await self._listener.next_text()
            try:
                await self._send(text)
            except OSError:
                return TRY_AGAIN_LATER

    async def _obey(self, texts: list[str]) -> int:
        for text in texts:
            await self._take(_read(text))
        while True:
            await self._take(_read(await self._inbox.get()))

    async def _take(self, said: Said | None) -> None:
        kind = said.get("type") if said is not None else None
        if said is None or not isinstance(kind, str):
            self._answer({}, "invalid_request", "Send a JSON object with a type.")
        elif kind == "ping":
            for org_id in self._watcher.clinics:
                self._listener.tell(message("ping", self._position(org_id), org_id, {}))
        elif kind == "resume":
            wish = self._resume_in(said)
            if wish is None:
                self._answer(
                    said, "invalid_request", "Resume needs the seq of the last event of a clinic of yours."
                )
            else:
                self._hub.join(wish[0], self._listener, wish[1])
        elif kind in CONTROLS:
            await self._command(said)
        elif kind != "auth":
            self._answer(said, "invalid_request", "There is no such type of message.")

    async def _command(self, said: Said) -> None:
        """Raises Closing where this person may command nothing: their page offers no such thing."""
        try:
            order = read_order(self._watcher, said)
            watcher = await off_the_loop(lambda: watcher_of(self._credential))
            order = read_order(watcher, said)
            await off_the_loop(lambda: carry_out(watcher, order))
        except Refused as refusal:
            self._answer(said, refusal.code, str(refusal))
        except (NotAllowed, NotSignedIn) as error:
            raise Closing(NOT_ALLOWED if isinstance(error, NotAllowed) else NOT_SIGNED_IN) from error
        except DatabaseError:
            self._answer(said, "unavailable", "The database is away; try again soon.")
        else:
            self._answer(said, "", "")

    def _answer(self, said: Said, code: str, sentence: str) -> None:
        """What came of a message of the client's; ``id`` is the client's own."""
        own = said.get("id")
        data: dict[str, Any] = {"ok": not code, "id": own if isinstance(own, str | int) else None}
        if code:
            data |= {"code": code, "message": sentence}
        org_id = next(iter(self._watcher.clinics))
        self._listener.tell(message("answer", self._position(org_id), org_id, data))

    def _position(self, org_id: UUID) -> int:
        return self._listener.positions.get(org_id, 0)


def _read(text: str) -> Said | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
