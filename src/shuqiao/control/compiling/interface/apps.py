"""Django's entry for this capability."""

from django.apps import AppConfig


class InterfaceConfig(AppConfig):
    """Registers the models of `compiling.interface`."""

    name = "shuqiao.control.compiling.interface"
    label = "interface"
    default_auto_field = "django.db.models.BigAutoField"
