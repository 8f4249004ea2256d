"""Django's entry for this capability."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Registers the models of `operations`."""

    name = "shuqiao.control.operations"
    label = "operations"
    default_auto_field = "django.db.models.BigAutoField"
