"""Django's entry for this capability."""

from django.apps import AppConfig


class FindingConfig(AppConfig):
    """Registers the models of `finding`."""

    name = "shuqiao.control.finding"
    label = "finding"
    default_auto_field = "django.db.models.BigAutoField"
