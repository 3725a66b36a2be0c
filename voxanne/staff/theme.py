"""The look of the staff pages and their sidebar: settings of the theme. Imports no model; settings load it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy

# Teal, with 600 dark enough for white text on it and for it on white (5.5:1); 500 is the dark theme's text.
PRIMARY = {
    "50": "#f0fdfa",
    "100": "#ccfbf1",
    "200": "#99f6e4",
    "300": "#5eead4",
    "400": "#2dd4bf",
    "500": "#14b8a6",
    "600": "#0f766e",
    "700": "#115e59",
    "800": "#134e4a",
    "900": "#123f3c",
    "950": "#042f2e",
}
# Text that is only subordinate still has to be read: one step darker, and one lighter, than the theme's own.
FONT = {
    "subtle-light": "var(--color-base-600)",
    "subtle-dark": "var(--color-base-300)",
    "default-light": "var(--color-base-700)",
    "default-dark": "var(--color-base-200)",
    "important-light": "var(--color-base-900)",
    "important-dark": "var(--color-base-50)",
}
ENVIRONMENT_TONES = {"production": "danger", "staging": "warning", "test": "info", "development": "info"}


def environment_label(environment: str, rehearsal_phone: str) -> list[str]:
    """What stands at the top of each page: where one is, and whether texts go to one phone instead of to people."""
    if not rehearsal_phone:
        return [environment.capitalize(), ENVIRONMENT_TONES[environment]]
    return [f"Texts to …{rehearsal_phone[-4:]} · {environment}", "warning"]


def unfold_settings(environment: str, rehearsal_phone: str = "") -> dict[str, Any]:
    """The theme's settings for this environment (production, staging, test or development). ``rehearsal_phone``: the
    one that gets all texts, if any."""
    return {
        "SITE_TITLE": "Voxanne",
        "SITE_HEADER": "Voxanne",
        "SITE_SUBHEADER": "Reception desk",
        "SITE_URL": None,
        "SITE_SYMBOL": "support_agent",
        "SITE_FAVICONS": [
            {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("staff/favicon.svg")}
        ],
        "SHOW_BACK_BUTTON": True,
        "SHOW_VIEW_ON_SITE": False,
        "ENVIRONMENT": lambda request: environment_label(environment, rehearsal_phone),
        "ENVIRONMENT_TITLE_PREFIX": None if environment == "production" else f"[{environment}]",
        "BORDER_RADIUS": "6px",
        "COLORS": {"primary": PRIMARY, "font": FONT},
        "STYLES": [lambda request: static("staff/staff.css")],
        "SCRIPTS": [lambda request: static("staff/keyboard.js")],
        "DASHBOARD_CALLBACK": "voxanne.staff.start.start_page",
        "COMMAND": {"search_models": False, "show_history": False},
        "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": sidebar()},
        "TABS": tabs(),
    }


def sidebar() -> list[dict[str, Any]]:
    """What a receptionist needs first, then what a manager sets up, then what operations look after."""
    return [
        {"items": every_day()},
        {"title": "Clinic set-up", "separator": True, "items": clinic_set_up()},
        {"title": "Operations", "separator": True, "items": operations()},
    ]


def every_day() -> list[dict[str, Any]]:
    """What reception looks at all day."""
    return [
        _start(),
        _item("Appointments", "calendar_month", "bookings_appointment"),
        _item(
            "To do",
            "task_alt",
            "messaging_stafftask",
            badge="messaging.admin.staff_tasks.badge_of_open",
        ),
        _item(
            "Conversations",
            "forum",
            "messaging_conversation",
            badge="messaging.admin.conversations.badge_of_unread",
        ),
        _item("Calls", "call", "telephony_call"),
        _item("Missed calls", "phone_missed", "telephony_activecall"),
        _item("Messages", "sms", "messaging_message"),
        _item(
            "Undelivered texts",
            "sms_failed",
            "messaging_deadletter",
            badge="messaging.admin.dead_letters.badge",
        ),
        _item("Received texts", "inbox", "messaging_inboundmessage"),
        _item("Contacts", "contacts", "messaging_contact"),
    ]


def clinic_set_up() -> list[dict[str, Any]]:
    """What a manager sets up."""
    return [
        _item("Providers and hours", "stethoscope", "bookings_provider"),
        _item("Services", "medical_services", "bookings_service"),
        _item("Closures", "event_busy", "bookings_closure"),
        _item("Message wording", "edit_note", "messaging_messagetemplate"),
        _item("WhatsApp templates", "chat", "messaging_whatsapptemplate"),
        _item("Texting rules", "bedtime", "messaging_messagingpolicy"),
        _item("Answering texts", "quickreply", "messaging_replysettings"),
        _item("Call settings", "mic", "telephony_callsettings"),
        _item("Transfers", "phone_forwarded", "telephony_transferdestination"),
        _item("Phone numbers", "dialpad", "telephony_phonenumber"),
        _item("Sender", "outgoing_mail", "messaging_senderaccount"),
        _item("Assistant", "support_agent", "telephony_assistant"),
        _item("Calendars", "sync", "bookings_calendarconnection"),
        _item("Clinic", "apartment", "tenancy_organization"),
        _item("Team", "group", "tenancy_membership"),
    ]


def operations() -> list[dict[str, Any]]:
    """What operations look after."""
    return [
        _item("Bulk acts on texts", "done_all", "messaging_bulkact"),
        _item("Opt-outs", "do_not_disturb_on", "messaging_optout"),
        _item("Calendar pushes", "event_available", "bookings_calendarpush"),
        _item("Busy times", "event_note", "bookings_busyblock"),
        _item("Tool answers", "build", "telephony_toolinvocation"),
        _item("Webhooks", "webhook", "telephony_webhookdelivery"),
        _item("Recordings", "graphic_eq", "telephony_recording"),
        _item("Call commands", "settings_phone", "telephony_callcommand"),
        _item("Tools at Vapi", "handyman", "telephony_toolregistration"),
        _item("Fire drills", "local_fire_department", "telephony_firedrill"),
        _item("Text-back pauses", "timer", "telephony_textback"),
        _item("API requests", "api", "telephony_apiidempotencykey"),
        _item("Audit trail", "history", "tenancy_auditentry"),
        _item("Vapi credentials", "key", "telephony_vapicredential"),
        _item("Heartbeats", "monitor_heart", "monitoring_heartbeat"),
        _item("Circuits", "electrical_services", "monitoring_breakertransition"),
        _item("Periodic tasks", "schedule", "django_celery_beat_periodictask"),
        _item("People", "badge", "tenancy_user"),
        _item("Sign-ins", "login", "axes_accesslog"),
        _item("Failed sign-ins", "gpp_maybe", "axes_accessattempt"),
    ]


def tabs() -> list[dict[str, Any]]:
    """Ways to the same list that people take many times a day."""
    return [
        _tabs(
            "bookings.appointment",
            "admin:bookings_appointment_changelist",
            "when",
            (("Upcoming", ""), ("Today", "today"), ("Past", "past"), ("All", "all")),
        ),
        _tabs(
            "messaging.message",
            "admin:messaging_message_changelist",
            "state__exact",
            (
                ("All", ""),
                ("Needs attention", "dead_letter"),
                ("Waiting", "queued"),
                ("Fate unknown", "unknown"),
                ("Delivered", "delivered"),
            ),
        ),
        _tabs(
            "messaging.stafftask",
            "admin:messaging_stafftask_changelist",
            "acknowledged_at__isempty",
            (("All", ""), ("Open", "1"), ("Done", "0")),
        ),
        _tabs(
            "messaging.conversation",
            "admin:messaging_conversation_changelist",
            "waiting_since__isempty",
            (("All", ""), ("To answer", "0"), ("Answered", "1")),
        ),
    ]


def _start() -> dict[str, Any]:
    return {
        "title": "Today",
        "icon": "today",
        "link": reverse_lazy("admin:index"),
        "active": lambda request: request.path == reverse("admin:index"),
    }


def _item(title: str, icon: str, kind: str, *, badge: str | None = None) -> dict[str, Any]:
    """A link to the list of ``kind`` (app_model), for those who may see it. Lit by its own pages alone."""
    item = {
        "title": title,
        "icon": icon,
        "kind": kind,
        "link": reverse_lazy(f"admin:{kind}_changelist"),
        "permission": _may_open(kind),
        "active": lambda request: request.path.startswith(reverse(f"admin:{kind}_changelist")),
    }
    return {**item, "badge": badge, "badge_variant": "danger"} if badge else item


def _may_open(kind: str) -> Callable[[HttpRequest], bool]:
    def may_open(request: HttpRequest) -> bool:
        from django.apps import apps
        from django.contrib import admin

        app_label, _, model_name = kind.rpartition("_")
        return bool(
            admin.site.get_model_admin(apps.get_model(app_label, model_name)).has_view_permission(request)
        )

    return may_open


def _tabs(model: str, address: str, parameter: str, choices: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    def lit(value: str) -> Callable[[HttpRequest], bool]:
        if value:
            return lambda request: request.GET.get(parameter) == value
        return lambda request: not any(given for name, given in request.GET.items() if name not in ("o", "p"))

    def to(value: str) -> Callable[[HttpRequest], str]:
        return lambda request: reverse(address) + (f"?{parameter}={value}" if value else "")

    return {
        "models": [model],
        "items": [{"title": title, "link": to(value), "active": lit(value)} for title, value in choices],
    }
