"""Django's entry for this capability."""

from django.apps import AppConfig


class UpkeepConfig(AppConfig):
    """Registers the models of `upkeep`."""

    name = "shuqiao.control.upkeep"
    label = "upkeep"
    default_auto_field = "django.db.models.BigAutoField"
