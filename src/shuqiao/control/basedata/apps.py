"""Django application of the base data."""

from django.apps import AppConfig


class BasedataConfig(AppConfig):
    """Registers the base data under the label `basedata`."""

    name = "shuqiao.control.basedata"
    label = "basedata"
    verbose_name = "Base data"
