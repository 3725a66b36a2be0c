"""The booking API's request and answers: their form, checked strictly, and described for OpenAPI.

What is missing, ill-typed or breaks a pattern is 400; what a rule of the clinic refuses is 422 (contract, section 2).
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

TOOL_NAME = "book_appointment"
UUID_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z"
DATE_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"
TIME_PATTERN = r"^[0-9]{2}:[0-9]{2}\Z"
LONGEST_NAME = 120
LONGEST_PHONE = 40
ONE_OF = ("patient_phone", "patient_email", "patient_id")


class Text(serializers.CharField):
    """A JSON string, and nothing that could be made into one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class PatternText(serializers.RegexField):
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        value: str = super().to_internal_value(data)
        return value


class Email(serializers.EmailField):
    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data).lower()


class Minutes(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


def _optional(**more: Any) -> dict[str, Any]:
    """Absent, null and blank are the same."""
    return {"required": False, "allow_null": True, "allow_blank": True, **more}


class ToolInput(serializers.Serializer[dict[str, Any]]):
    provider_id = PatternText(UUID_PATTERN, help_text="The provider's id.")
    appointment_date = PatternText(DATE_PATTERN, help_text="The clinic's local date, YYYY-MM-DD.")
    appointment_time = PatternText(TIME_PATTERN, help_text="The clinic's local time, HH:MM, 24 hours.")
    patient_name = Text(**_optional(max_length=LONGEST_NAME))
    patient_phone = Text(
        **_optional(max_length=LONGEST_PHONE, help_text="E.164, or as dialled in the clinic's country.")
    )
    patient_email = Email(**_optional(max_length=254))
    patient_id = PatternText(UUID_PATTERN, **_optional(help_text="The id of a contact of the clinic."))
    service = Text(
        **_optional(max_length=LONGEST_NAME, help_text="Id, slug or name; the clinic's default without it.")
    )
    duration_minutes = Minutes(
        required=False,
        allow_null=True,
        help_text="5 to 240, where the service allows it; its usual length without it.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not any(attrs.get(name) for name in ONE_OF):
            raise serializers.ValidationError(f"Give one of {', '.join(ONE_OF)}.")
        return attrs


class BookingRequest(serializers.Serializer[dict[str, Any]]):
    # Django REST framework's own words repeat what was sent, which may be no text that can be written.
    tool_name = serializers.ChoiceField(
        [TOOL_NAME], error_messages={"invalid_choice": f"The only tool here is {TOOL_NAME}."}
    )
    tool_input = ToolInput()


class Booked(serializers.Serializer[dict[str, Any]]):
    success = serializers.BooleanField(help_text="true")
    appointment_id = serializers.UUIDField()
    confirmation_token = serializers.CharField(help_text="Opens the patient's page: /a/<token>.")
    starts_at = serializers.DateTimeField(help_text="With the clinic's offset.")
    latency_ms = serializers.FloatField()


class ErrorDetail(serializers.Serializer[dict[str, Any]]):
    code = serializers.CharField()
    message = serializers.CharField()
    details = serializers.DictField(required=False)


class BookingRefusal(serializers.Serializer[dict[str, Any]]):
    success = serializers.BooleanField(help_text="false")
    error = ErrorDetail()
