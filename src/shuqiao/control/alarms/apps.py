"""Django's entry for this capability."""

from django.apps import AppConfig


class AlarmsConfig(AppConfig):
    """Registers the models of `alarms`."""

    name = "shuqiao.control.alarms"
    label = "alarms"
    default_auto_field = "django.db.models.BigAutoField"
