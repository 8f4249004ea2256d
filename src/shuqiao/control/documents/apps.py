"""Django's entry for this capability."""

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    """Registers the models of `documents`."""

    name = "shuqiao.control.documents"
    label = "documents"
    default_auto_field = "django.db.models.BigAutoField"
