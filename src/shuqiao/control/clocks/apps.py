"""Django's entry for this capability."""

from django.apps import AppConfig


class ClocksConfig(AppConfig):
    """Registers the models of `clocks`."""

    name = "shuqiao.control.clocks"
    label = "clocks"
    default_auto_field = "django.db.models.BigAutoField"
