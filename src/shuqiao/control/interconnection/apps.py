"""Django's entry for this capability."""

from django.apps import AppConfig


class InterconnectionConfig(AppConfig):
    """Registers the models of `interconnection`."""

    name = "shuqiao.control.interconnection"
    label = "interconnection"
    default_auto_field = "django.db.models.BigAutoField"
