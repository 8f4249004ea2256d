"""Django's entry for this capability."""

from django.apps import AppConfig


class RegulationsConfig(AppConfig):
    """Registers the models of `regulations`."""

    name = "shuqiao.control.regulations"
    label = "regulations"
    default_auto_field = "django.db.models.BigAutoField"
