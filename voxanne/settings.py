"""Django settings, all from the environment (contract: docs/settings.md)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from voxanne.environment import Environment, production_faults, resolve_backend_url
from voxanne.media_storage import LOCAL, UnreadableUrl, media_storage
from voxanne.runtime.state import known_urls
from voxanne.staff.theme import unfold_settings

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

env = Environment()

VOXANNE_ENV = env.choice("VOXANNE_ENV", ("development", "test", "staging", "production"), "development")
PRODUCTION = VOXANNE_ENV == "production"
DEBUG = False
PORT = env.integer("PORT", 8000)
WS_PORT = env.integer("WS_PORT", PORT + 1)
DATA_DIR = Path(env.text("VOXANNE_DATA_DIR", str(BASE_DIR / ".data")))

# Values that let a newcomer start without setting anything. Production refuses each of them.
DEVELOPMENT_SECRETS = {
    "SECRET_KEY": "development-only-secret-key-that-signs-nothing-of-value",
    "CRON_SECRET": "development-cron-secret",
    "MONITORING_TOKEN": "development-monitoring-token",
    "VAPI_WEBHOOK_SECRET": "development-vapi-webhook-secret",
    "JWT_SECRET": "development-jwt-secret-of-at-least-32-bytes",
    "TWILIO_ACCOUNT_SID": "AC0000000000000000000000000000d3e0",
    "TWILIO_AUTH_TOKEN": "development-twilio-auth-token",
    "CREDENTIAL_ENCRYPTION_KEYS": "ZGV2ZWxvcG1lbnQtb25seS1rZXktMDEyMzQ1Njc4OSE=",
}


def secret(name: str) -> str:
    return env.text(name, "" if PRODUCTION else DEVELOPMENT_SECRETS.get(name, ""))


SECRET_KEY = secret("SECRET_KEY") or "unset"
CRON_SECRET = secret("CRON_SECRET")
MONITORING_TOKEN = secret("MONITORING_TOKEN")
VAPI_WEBHOOK_SECRET = secret("VAPI_WEBHOOK_SECRET")
JWT_SECRET = secret("JWT_SECRET")
JWT_JWKS_URL = env.text("JWT_JWKS_URL")
CREDENTIAL_ENCRYPTION_KEYS = [
    key.strip() for key in secret("CREDENTIAL_ENCRYPTION_KEYS").split(",") if key.strip()
]

BACKEND = resolve_backend_url(env, PORT)
BACKEND_URL = BACKEND.url
FRONTEND_URL = env.text("FRONTEND_URL", BACKEND_URL)
WS_URL = env.text("WS_URL", f"ws://localhost:{WS_PORT}/ws/call")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", () if PRODUCTION else ("*",))
CORS_ALLOWED_ORIGINS = env.words("CORS_ALLOWED_ORIGINS", (FRONTEND_URL,))
TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXY_COUNT", 0)

# --- Providers ----------------------------------------------------------------------------------

TWILIO_ACCOUNT_SID = secret("TWILIO_ACCOUNT_SID")
TWILIO_AUTH_TOKEN = secret("TWILIO_AUTH_TOKEN")
TWILIO_API_KEY = env.text("TWILIO_API_KEY")
TWILIO_API_SECRET = env.text("TWILIO_API_SECRET")
TWILIO_API_BASE_URL = env.text("TWILIO_API_BASE_URL", "https://api.twilio.com").rstrip("/")
# TwiML kept outside of us that rings a clinic's own line; {line} stands for that line's number.
TWILIO_VOICE_FALLBACK_URL = env.text("TWILIO_VOICE_FALLBACK_URL")
VAPI_API_KEY = env.text("VAPI_API_KEY")
VAPI_API_BASE_URL = env.text("VAPI_API_BASE_URL", "https://api.vapi.ai").rstrip("/")
GOOGLE_CLIENT_ID = env.text("GOOGLE_CLIENT_ID")
GOOGLE_CLIENT_SECRET = env.text("GOOGLE_CLIENT_SECRET")
GOOGLE_API_BASE_URL = env.text("GOOGLE_API_BASE_URL", "https://www.googleapis.com").rstrip("/")
GOOGLE_AUTH_URL = env.text("GOOGLE_AUTH_URL", "https://accounts.google.com/o/oauth2/v2/auth")
GOOGLE_TOKEN_URL = env.text("GOOGLE_TOKEN_URL", "https://oauth2.googleapis.com/token")
SLACK_BOT_TOKEN = env.text("SLACK_BOT_TOKEN")
SLACK_ALERTS_CHANNEL = env.text("SLACK_ALERTS_CHANNEL", "#voxanne-alerts")
SLACK_API_BASE_URL = env.text("SLACK_API_BASE_URL", "https://slack.com").rstrip("/")
SENTRY_DSN = env.text("SENTRY_DSN")
SANDBOX_URL = f"http://127.0.0.1:{env.integer('SANDBOX_PORT', 4020)}"
SMS_REDIRECT_TO = env.text("SMS_REDIRECT_TO")
if SMS_REDIRECT_TO and not re.fullmatch(r"\+[1-9]\d{6,14}", SMS_REDIRECT_TO):
    env.faults.append("SMS_REDIRECT_TO must be one phone number, such as +14155550142.")

# How long a provider may keep us waiting, in seconds: (to connect, to answer).
TWILIO_TIMEOUT = (3.0, 10.0)
GOOGLE_TIMEOUT = (2.0, 5.0)
VAPI_TIMEOUT = (2.0, 5.0)
# Where Vapi's recordings may lie besides *.vapi.ai: these hosts and those below them.
KEPT_RECORDINGS = ("r2.cloudflarestorage.com", "amazonaws.com", "storage.googleapis.com")
RECORDING_HOSTS = env.words("RECORDING_HOSTS", KEPT_RECORDINGS)
RECORDING_MOST_BYTES = env.integer("RECORDING_MOST_BYTES", 128 * 1024 * 1024)
# An `unknown` text is sent again only after two empty look-ups this many seconds apart.
MESSAGE_RECONCILE_GAP = env.integer("MESSAGE_RECONCILE_GAP", 60)
MESSAGE_LEASE_SECONDS = env.integer("MESSAGE_LEASE_SECONDS", 30)
BREAKER_COOL_DOWN_SECONDS = env.integer("BREAKER_COOL_DOWN_SECONDS", 30)

# --- Applications -------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "django_celery_beat",
    "axes",
    "voxanne.tenancy",
    "voxanne.durable",
    "voxanne.staff",
    "monitoring",
    "messaging",
    "bookings",
    "telephony",
    "voxanne.runtime",
    "voxanne.demo",
]

MIDDLEWARE = [
    "monitoring.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "voxanne.tenancy.middleware.StaffScopeMiddleware",
]
# A caller waits behind these addresses: no session, no cookies, no people's pages (voxanne/wsgi.py).
PROVIDER_PREFIXES = ("/api/webhooks/", "/api/vapi/", "/health")
# Somebody is on the line while these are answered; what can wait gives way (voxanne/durable/callers.py).
CALLER_PREFIXES = ("/api/vapi/", "/api/webhooks/vapi", "/api/webhooks/twilio/voice")
PROVIDER_MIDDLEWARE = [*MIDDLEWARE[:2], "django.middleware.common.CommonMiddleware"]

ROOT_URLCONF = "voxanne.urls"
WSGI_APPLICATION = "voxanne.wsgi.application"
ASGI_APPLICATION = "voxanne.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the theme's own.
        "DIRS": [BASE_DIR / "voxanne" / "staff" / "overrides"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Database: `default` serves, `owner` migrates -----------------------------------------------

running_database_url, running_redis_url = known_urls()
DATABASE_URL = env.text("DATABASE_URL", "" if PRODUCTION else (running_database_url or ""))
DATABASE_OWNER_URL = env.text("DATABASE_OWNER_URL", DATABASE_URL)
REDIS_URL = env.text("REDIS_URL", "" if PRODUCTION else (running_redis_url or ""))
# The role that requests run as when DATABASE_URL names one that owns the tables or may bypass
# row-level security: set-up creates it, and every connection assumes it at once.
DATABASE_BOUND_ROLE = "voxanne_app"
ASSUMES_BOUND_ROLE = DATABASE_OWNER_URL == DATABASE_URL
DATABASE_POOL_SIZE = env.integer("DATABASE_POOL_SIZE", 0)


def database(url: str, *, serving: bool) -> dict[str, Any]:
    config: dict[str, Any] = dict(environ.Env.db_url_config(url or "postgres://unset@127.0.0.1:1/unset"))
    config["ENGINE"] = "voxanne.database"
    options: dict[str, Any] = config.setdefault("OPTIONS", {})
    # Nothing is prepared unasked; statements of voxanne/statements.py ask for it.
    options.update({"connect_timeout": 3, "application_name": "voxanne", "prepare_threshold": 2**30})
    if not serving:
        return config
    session = ["-c statement_timeout=15s", "-c lock_timeout=2s", "-c idle_in_transaction_session_timeout=60s"]
    if ASSUMES_BOUND_ROLE:
        session.append(f"-c role={DATABASE_BOUND_ROLE}")
    options["options"] = " ".join(session)
    if DATABASE_POOL_SIZE:
        options["pool"] = {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 20}
    else:
        config["CONN_MAX_AGE"] = None
        config["CONN_HEALTH_CHECKS"] = True
    return config


DATABASES = {
    "default": database(DATABASE_URL, serving=True),
    "owner": {**database(DATABASE_OWNER_URL, serving=False), "TEST": {"MIRROR": "default"}},
}
DATABASE_ROUTERS = ["voxanne.tenancy.routing.OwnerMigrates"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: broker, cache, counters; it may vanish at any moment --------------------------------

REDIS_DATABASES = {"broker": 0, "cache": 1}


def redis_url(database_number: int) -> str:
    base = REDIS_URL or "redis://127.0.0.1:1"
    root, _, tail = base.rpartition("/")
    return f"{root if tail.isdigit() else base.rstrip('/')}/{database_number}"


CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": redis_url(REDIS_DATABASES["cache"]),
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
        "KEY_PREFIX": "voxanne",
    },
    # Answers "cannot count" where Redis is away; each limit says what that means.
    "ratelimit": {
        "BACKEND": "monitoring.limit_cache.LimitCache",
        "LOCATION": redis_url(REDIS_DATABASES["cache"]),
        "OPTIONS": {"socket_connect_timeout": 0.25, "socket_timeout": 0.25},
        "KEY_PREFIX": "limits",
    },
}
# Staff stay signed in while Redis is away.
SESSION_ENGINE = "django.contrib.sessions.backends.db"

CELERY_BROKER_URL = redis_url(REDIS_DATABASES["broker"])
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
# The default scan brings a killed worker's task back after 100 s; these bring it back in about 10.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 2

# --- Limits: requests/period, the period as 15m, h, 30s ------------------------------------------

RATE_LIMITS = {
    "clinic_api": env.text("RATE_LIMIT_CLINIC_API", "1000/h"),
    "booking_address": env.text("RATE_LIMIT_BOOKING_ADDRESS", "100/m"),
    "anonymous": env.text("RATE_LIMIT_ANONYMOUS", "100/15m"),
    "patient_links": env.text("RATE_LIMIT_PATIENT_LINKS", "60/m"),
    # Above this a forged credential is told to wait, and no longer that it is wrong.
    "forged": env.text("RATE_LIMIT_FORGED", "30/s"),
}
RATELIMIT_USE_CACHE = "ratelimit"
env.faults += [
    f"RATE_LIMIT_{name.upper()} must read like 100/15m or 30/s."
    for name, rate in RATE_LIMITS.items()
    if not re.fullmatch(r"[1-9]\d*/\d*[smhd]", rate)
]

# --- People -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "tenancy.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "voxanne.tenancy.permissions.MembershipBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "monitoring.client_address.client_address"
AXES_ENABLE_ACCESS_FAILURE_LOG = True
AXES_VERBOSE = False

LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English")]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

UNFOLD = unfold_settings(VOXANNE_ENV, rehearsal_phone=SMS_REDIRECT_TO)

STATIC_URL = "/admin/static/"
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_ALLOW_ALL_ORIGINS = False
try:
    MEDIA_STORAGE = media_storage(env.text("MEDIA_STORAGE_URL"), production=PRODUCTION)
except UnreadableUrl as unreadable:
    env.faults += unreadable.faults
    MEDIA_STORAGE = LOCAL
STORAGES = {
    "default": MEDIA_STORAGE,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
MEDIA_ROOT = DATA_DIR / "media"
# Calls' recordings lie there: nobody else on this machine reads them.
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "monitoring.errors.csrf_failure"
CSRF_TRUSTED_ORIGINS = [BACKEND_URL] if BACKEND_URL.startswith("http") else []
if PRODUCTION:
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
    # A redirect would turn a provider's POST into a GET; the front proxy sends people to https.
    SECURE_SSL_REDIRECT = False
    SILENCED_SYSTEM_CHECKS = ["security.W008"]

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "monitoring.errors.api_exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Voxanne",
    "DESCRIPTION": "The back office of an AI voice receptionist for clinics.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

LOG_FORMAT = env.choice("LOG_FORMAT", ("json", "console"), "json" if PRODUCTION else "console")
LOG_LEVEL = env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
LOGGING_CONFIG = "monitoring.logs.configure"
LOGGING = {"format": LOG_FORMAT, "level": LOG_LEVEL}

# Told ahead by check_readiness; production itself refuses to start.
PRODUCTION_FAULTS = production_faults(
    backend_url=BACKEND,
    required={
        "SECRET_KEY": env.optional("SECRET_KEY"),
        "ALLOWED_HOSTS": env.optional("ALLOWED_HOSTS"),
        "BACKEND_URL": BACKEND_URL if BACKEND.source != "default" else None,
        "DATABASE_URL": DATABASE_URL,
        "REDIS_URL": REDIS_URL,
        "CRON_SECRET": CRON_SECRET,
        "MONITORING_TOKEN": MONITORING_TOKEN,
        "CREDENTIAL_ENCRYPTION_KEYS": env.optional("CREDENTIAL_ENCRYPTION_KEYS"),
        "VAPI_WEBHOOK_SECRET": VAPI_WEBHOOK_SECRET,
        "JWT_SECRET or JWT_JWKS_URL": JWT_SECRET or JWT_JWKS_URL,
    },
    known_defaults=frozenset(DEVELOPMENT_SECRETS.values()),
)
if PRODUCTION:
    env.faults += PRODUCTION_FAULTS
if env.faults:
    raise ImproperlyConfigured("The settings need attention:\n- " + "\n- ".join(env.faults))

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxanne.settings")
