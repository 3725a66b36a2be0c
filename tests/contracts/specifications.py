"""The providers' own specifications, as validators. Nobody here wrote them; they lie beside the repository.

Their known defects are allowed for as ``specs/README.md`` lists them; nothing else of them is changed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import jsonschema
import pytest
from openapi_core import Config, OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from werkzeug import Request

from tests.sandbox.running import specification

FORM = "application/x-www-form-urlencoded"
TWILIO_HOST = "https://api.twilio.com"
INSERT = "calendar.events.insert"


@functools.cache
def document(name: str) -> dict[str, Any]:
    """A specification by its file's name; the test is skipped where it is not there."""
    found = specification(name)
    if found is None:
        pytest.skip(f"The specification {name} is not beside the repository.")
    return dict(found)


def mended(part: Any) -> Any:
    """Vapi's document without its defects: slashes round patterns, enums on arrays, words said to be objects,
    ``nullable``."""
    if isinstance(part, list):
        return [mended(item) for item in part]
    if not isinstance(part, dict):
        return part
    new = {name: mended(value) for name, value in part.items() if name != "nullable"}
    pattern = new.get("pattern")
    if isinstance(pattern, str) and pattern.startswith("/") and pattern.endswith("/"):
        new["pattern"] = pattern[1:-1]
    if new.get("type") == "array":
        new.pop("enum", None)
    if new.get("type") == "object" and all(isinstance(word, str) for word in new.get("enum", [None])):
        new["type"] = "string"
    if part.get("nullable") and isinstance(new.get("type"), str):
        new["type"] = [new["type"], "null"]
    return new


@functools.cache
def vapi_schemas() -> dict[str, Any]:
    return dict(mended(document("vapi_openapi_cut.json")["components"]["schemas"]))


def vapi_faults(name: str, value: Any) -> list[str]:
    """What Vapi's schema ``name`` finds wrong with ``value``, members it does not know included."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": vapi_schemas()}}
    found = jsonschema.Draft202012Validator(schema).iter_errors(value)
    return [error.message for error in found] + unknown_members(name, value)


def unknown_members(name: str, value: Any) -> list[str]:
    """Members that the schema does not name: it allows them silently, and Vapi would ignore them as silently."""
    return [f"{place} is not in {name}" for place in _unknown(vapi_schemas()[name], value, "")]


def _unknown(schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
    choices = _choices(schema)
    if isinstance(value, list):
        for number, item in enumerate(value):
            for choice in choices:
                yield from _unknown(choice.get("items", {}), item, f"{place}[{number}]")
    if not isinstance(value, dict):
        return
    known = {name: member for choice in choices for name, member in choice.get("properties", {}).items()}
    if not known or any("additionalProperties" in choice for choice in choices):
        return
    for name, member in value.items():
        if name not in known:
            yield f"{place}.{name}"
        else:
            yield from _unknown(known[name], member, f"{place}.{name}")


def _choices(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schema with its references followed: every alternative that it allows."""
    if "$ref" in schema:
        return _choices(vapi_schemas()[schema["$ref"].rpartition("/")[2]])
    parts = [part for name in ("allOf", "anyOf", "oneOf") for part in schema.get(name, ())]
    return [schema, *(choice for part in parts for choice in _choices(part))]


@functools.cache
def twilio() -> OpenAPI:
    # From a dict: the loader by path fails on the file's surrogate escapes. The document itself is not judged.
    unjudged = Config(spec_validator_cls=None)  # type: ignore[arg-type]  # None is how to leave it unjudged
    return OpenAPI.from_dict(document("twilio_api_v2010.json"), config=unjudged)


class SentToTwilio(WerkzeugOpenAPIRequest):
    """A request that a server of ours caught, as if Twilio had: its host, and no path before its own."""

    @property
    def host_url(self) -> str:
        return TWILIO_HOST

    @property
    def path(self) -> str:
        return f"/2010-04-01{self.request.path.partition('/2010-04-01')[2]}"


def twilio_faults(request: Request) -> list[str]:
    """What Twilio's document finds wrong with the request, parameters it does not know included."""
    faults = [str(error) for error in twilio().iter_request_errors(SentToTwilio(request))]
    return faults + unknown_parameters(request)


def unknown_parameters(request: Request) -> list[str]:
    """Parameters the document does not name: Twilio ignores them, so a misspelt one would be lost unseen."""
    path = document("twilio_api_v2010.json")["paths"].get(_template_of(request.path), {})
    operation = path.get(request.method.lower(), {})
    known = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"}
    given = set(request.args)
    if "requestBody" in operation:
        known = set(operation["requestBody"]["content"][FORM]["schema"]["properties"])
        given |= {name for name, _ in parse_qsl(request.get_data(as_text=True), keep_blank_values=True)}
    return [f"{name} is no parameter" for name in sorted(given - known)]


def _template_of(path: str) -> str:
    """The document's name for an address: the account and a resource's id as parameters."""
    _, resource, *one = path.partition("/Accounts/")[2].split("/")
    name = f"{resource}/{{Sid}}.json" if one else resource
    return f"/2010-04-01/Accounts/{{AccountSid}}/{name}"


@functools.cache
def google_event_schema() -> dict[str, Any]:
    """Google's Event as an insert wants it. Its names are all there are: a member of another name is a fault."""
    schemas = document("google_calendar_v3_discovery.json")["schemas"]
    return {"$ref": "#/schemas/Event", "schemas": {name: _closed(schema) for name, schema in schemas.items()}}


def _closed(part: Any) -> Any:
    if isinstance(part, list):
        return [_closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    new = {name: _closed(value) for name, value in part.items() if name not in ("id", "required")}
    if isinstance(part.get("id"), dict):
        new["id"] = _closed(part["id"])
    if isinstance(part.get("$ref"), str):
        return {"$ref": f"#/schemas/{part['$ref']}"}
    if isinstance(part.get("properties"), dict):
        new["additionalProperties"] = False
        new["required"] = [
            name for name, member in part["properties"].items() if INSERT in _required_by(member)
        ]
    if part.get("type") == "any":
        del new["type"]
    return new


def _required_by(member: Any) -> list[str]:
    """The methods whose bodies must have this member."""
    return list(member.get("annotations", {}).get("required", ()))


def google_faults(event: Any) -> list[str]:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    validator = jsonschema.Draft202012Validator(google_event_schema(), format_checker=checker)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(event)]
