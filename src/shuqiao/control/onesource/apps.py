"""Django's entry for this capability."""

from django.apps import AppConfig


class OnesourceConfig(AppConfig):
    """Registers the models of `onesource`."""

    name = "shuqiao.control.onesource"
    label = "onesource"
    default_auto_field = "django.db.models.BigAutoField"
