"""Django's settings, drawn from the frozen configuration object; nothing here is a legal number."""

import os
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from shuqiao.control.config import read_config, unconfigured
from shuqiao.control.smtp import DEFAULT_FROM, TIMEOUT_S

# Without its variables the module still imports, so that type checks and `--help` work;
# `shuqiao.control.wsgi` refuses to serve that way.
CONFIG = read_config(os.environ) if "SHUQIAO_DATABASE_URL" in os.environ else unconfigured()
PACKAGE = Path(__file__).parent

SECRET_KEY = CONFIG.secret_key
DEBUG = False
ALLOWED_HOSTS = list(CONFIG.allowed_hosts)
SAMPLE_DATA = CONFIG.sample
RECONCILE_DAYS = CONFIG.reconcile_days

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "csp",
    "procrastinate.contrib.django",
    "shuqiao.control.audit",
    "shuqiao.control.regulations",
    "shuqiao.control.organisations",
    "shuqiao.control.accounts",
    "shuqiao.control.enrolments",
    "shuqiao.control.alarms",
    "shuqiao.control.documents",
    "shuqiao.control.clocks",
    "shuqiao.control.disputes",
    "shuqiao.control.standards",
    "shuqiao.control.catalogue",
    "shuqiao.control.interfaces",
    "shuqiao.control.exports",
    "shuqiao.control.finding",
    "shuqiao.control.onesource",
    "shuqiao.control.compiling",
    "shuqiao.control.compiling.interface",
    "shuqiao.control.compiling.tables",
    "shuqiao.control.compiling.workbook",
    "shuqiao.control.upkeep",
    "shuqiao.control.exchange",
    "shuqiao.control.interconnection",
    "shuqiao.control.othersystems",
    "shuqiao.control.grants",
    "shuqiao.control.requests",
    "shuqiao.control.outside",
    "shuqiao.control.projects",
    "shuqiao.control.updating",
    "shuqiao.control.basedata",
    "shuqiao.control.operations",
    "shuqiao.control.web",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "shuqiao.control.web.plain_input.plain_input",
]

ROOT_URLCONF = "shuqiao.control.urls"
WSGI_APPLICATION = "shuqiao.control.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "web" / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

_EXTRA = {k: v for k, v in CONFIG.database.items() if k not in ("dbname", "user", "password", "host", "port")}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": CONFIG.database["dbname"],
        "USER": CONFIG.database.get("user", ""),
        "PASSWORD": CONFIG.database.get("password", ""),
        "HOST": CONFIG.database.get("host", ""),
        "PORT": CONFIG.database.get("port", ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_EXTRA,
            # A page that waits longer than this for the database has failed; say so and free the worker.
            "options": "-c search_path=control,public -c statement_timeout=15000 -c lock_timeout=5000",
        },
    }
}

AUTH_USER_MODEL = "accounts.Account"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [PACKAGE / "web" / "locale"]
USE_I18N = True
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [PACKAGE / "web" / "static"]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
# Files are served from the package, so that a start needs no collecting step.
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "shuqiao_session"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_NAME = "shuqiao_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
# Under TLS, ours or a proxy's that says so, cookies travel by it only and browsers keep to it. On one machine
# pages are plain loopback.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CONFIG.behind_tls else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONFIG.is_encrypted
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if CONFIG.is_encrypted else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500
DATA_UPLOAD_MAX_NUMBER_FILES = 5
FILE_UPLOAD_HANDLERS = ["shuqiao.control.documents.uploads.BoundedUpload"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    },
}

if CONFIG.smtp is None:
    EMAIL_BACKEND = "shuqiao.control.console_mail.EmailBackend"
    DEFAULT_FROM_EMAIL = DEFAULT_FROM
else:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    DEFAULT_FROM_EMAIL = CONFIG.smtp.sender
    EMAIL_HOST, EMAIL_PORT = CONFIG.smtp.host, CONFIG.smtp.port
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = CONFIG.smtp.user, CONFIG.smtp.password
    EMAIL_USE_TLS, EMAIL_USE_SSL = CONFIG.smtp.tls == "starttls", CONFIG.smtp.tls == "tls"
    EMAIL_TIMEOUT = TIMEOUT_S

PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # Every command and process would begin by naming each periodic job twice.
    "loggers": {
        "procrastinate.periodic": {"level": "WARNING"},
        "procrastinate.blueprints": {"level": "WARNING"},
    },
}
