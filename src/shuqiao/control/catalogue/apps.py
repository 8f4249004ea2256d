"""Django's entry for this capability."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    """Registers the models of `catalogue`."""

    name = "shuqiao.control.catalogue"
    label = "catalogue"
    default_auto_field = "django.db.models.BigAutoField"
