"""Django's entry for this capability."""

from django.apps import AppConfig


class RequestsConfig(AppConfig):
    """Registers the models of `requests`."""

    name = "shuqiao.control.requests"
    label = "requests"
    default_auto_field = "django.db.models.BigAutoField"
