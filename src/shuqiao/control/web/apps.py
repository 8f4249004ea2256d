"""Django's entry for this capability."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Registers the pages and their template tags."""

    name = "shuqiao.control.web"
    label = "web"
