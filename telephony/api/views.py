"""``POST /api/vapi/booking``: books one visit for whoever holds a clinic's token (contract, section 5)."""

from __future__ import annotations

import json
import time
from typing import Any, NoReturn, cast

from django.http import JsonResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    NotAuthenticated,
    ParseError,
    PermissionDenied,
)
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring import metrics
from monitoring.access import bearer_of
from monitoring.errors import (
    RETRY_AFTER_SECONDS,
    error_body,
    error_response,
    response_to,
)
from monitoring.limits import (
    BOOKING_ADDRESS,
    CLINIC_API,
    FORGED,
    over_limit,
    over_limit_by_address,
)
from telephony.api import idempotency
from telephony.api.bookings import Done, book_once
from telephony.api.refusals import Refusal
from telephony.api.serializers import Booked, BookingRefusal, BookingRequest
from telephony.api.signing_keys import KeysUnavailable
from telephony.api.tokens import Bearer, ClinicRefused, TokenRefused, bearer_of_token

MOST_BYTES = 64 * 1024
KEY_HEADER = "Idempotency-Key"
KEY_FORM = f"{KEY_HEADER} is 1 to {idempotency.LONGEST_KEY} printable characters."
REFUSALS = (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)


class Answered(Exception):
    """The answer is there already: a limit was reached, a body is too large."""

    def __init__(self, response: JsonResponse) -> None:
        super().__init__(response.status_code)
        self.response = response


class BookingToken(BaseAuthentication):
    """``Authorization: Bearer <JWT>``; see ``telephony/api/tokens.py``."""

    def authenticate(self, request: Request) -> tuple[Bearer, None]:
        try:
            return bearer_of_token(bearer_of(request._request) or ""), None
        except TokenRefused as error:
            raise AuthenticationFailed from error
        except ClinicRefused as error:
            raise PermissionDenied from error

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BookingTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BookingToken
    name = "bookingToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class StrictJson(BaseParser):
    """JSON in whatever Unicode encoding the bytes are in; too deep, or no number, is as unreadable as half a file."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return json.loads(stream.read(), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ParseError from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


class JsonAlways(BaseContentNegotiation):
    """There is one form of answer, whatever is asked for."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        kind = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class BookingView(APIView):
    http_method_names = ["post"]
    authentication_classes = (BookingToken,)
    parser_classes = (StrictJson,)
    content_negotiation_class = JsonAlways

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who asks, then how often: a stranger uses up nobody's share."""
        self.began = time.perf_counter()
        super().initial(request, *args, **kwargs)
        bearer = cast(Bearer, request.user)
        limited = over_limit_by_address(request._request, BOOKING_ADDRESS) or over_limit(
            request._request, CLINIC_API, str(bearer.clinic.org_id)
        )
        refusal = limited or _refuse_size(request)
        if refusal is not None:
            raise Answered(refusal)

    @extend_schema(
        operation_id="book_appointment",
        summary="Book a visit",
        request=BookingRequest,
        parameters=[
            OpenApiParameter(
                KEY_HEADER,
                location=OpenApiParameter.HEADER,
                description="The same key and body again give the first answer, with 200.",
            )
        ],
        responses={
            201: Booked,
            200: Booked,
            **dict.fromkeys(REFUSALS, BookingRefusal),
        },
    )
    def post(self, request: Request) -> Response:
        key = request.headers.get(KEY_HEADER, "").strip()
        if key and not idempotency.is_key(key):
            return refused(400, "invalid_request", KEY_FORM)
        asked = BookingRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        claimed = idempotency.Request(key, _digest(request.data)) if key else None
        done = book_once(cast(Bearer, request.user), claimed, asked.validated_data["tool_input"], self.began)
        self._observe(done)
        return Response(done.body, status=done.status)

    def _observe(self, done: Done) -> None:
        if done.repeated:
            metrics.count_duplicate("booking_request")
        else:
            metrics.observe_booking(done.outcome, time.perf_counter() - self.began)

    def handle_exception(self, exc: Exception) -> Response:
        """Every error in the common shape, with ``success: false``; what is a fault of ours is raised on."""
        match exc:
            case Answered():
                return _as_refusal(exc.response)
            case AuthenticationFailed() | NotAuthenticated():
                too_often = over_limit_by_address(self.request, FORGED)
                if too_often is not None:
                    return _as_refusal(too_often)
            case KeysUnavailable():
                return refused(
                    503, "keys_unavailable", "The issuer's keys cannot be had yet; try again soon.",
                    headers={"Retry-After": RETRY_AFTER_SECONDS},
                )  # fmt: skip
            case idempotency.KeyReused():
                return refused(422, "idempotency_key_reused", "This key came before, with another request.")
            case Refusal():
                answer = exc.answer
                metrics.observe_booking(answer.code, time.perf_counter() - self.began)
                return refused(answer.status, answer.code, answer.message, dict(answer.details))
        known = None if isinstance(exc, APIException) else response_to(exc)
        if known is not None:
            return _as_refusal(known)
        response = super().handle_exception(exc)
        response.data = {"success": False, **response.data}
        return response


def _digest(asked: Any) -> str:
    """Raises ParseError for what could be read and is still too deep to be written."""
    try:
        return idempotency.digest_of(asked)
    except RecursionError as error:
        raise ParseError from error


def _refuse_size(request: Request) -> JsonResponse | None:
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        return error_response(400, "invalid_request", "The Content-Length must be a whole number.")
    if length > MOST_BYTES:
        return error_response(413, "too_large", f"The body may have at most {MOST_BYTES} bytes.")
    return None


def refused(
    status: int,
    code: str,
    message: str,
    details: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    return Response({"success": False, **error_body(code, message, details)}, status=status, headers=headers)


def _as_refusal(response: JsonResponse) -> Response:
    headers = {name: value for name, value in response.items() if not name.lower().startswith("content-")}
    return Response(
        {"success": False, **json.loads(response.content)}, status=response.status_code, headers=headers
    )
