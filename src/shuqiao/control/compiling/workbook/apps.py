"""Django's entry for this capability."""

from django.apps import AppConfig


class WorkbookConfig(AppConfig):
    """Registers the models of `compiling.workbook`."""

    name = "shuqiao.control.compiling.workbook"
    label = "workbook"
    default_auto_field = "django.db.models.BigAutoField"
