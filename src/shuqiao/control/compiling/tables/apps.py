"""Django's entry for this capability."""

from django.apps import AppConfig


class TablesConfig(AppConfig):
    """Registers the models of `compiling.tables`."""

    name = "shuqiao.control.compiling.tables"
    label = "tables"
    default_auto_field = "django.db.models.BigAutoField"
