"""Django's entry for this capability."""

from django.apps import AppConfig
from django.conf import settings

from shuqiao.control import clock


class ClocksConfig(AppConfig):
    """Registers the models of `clocks`, and in a sample the time that can be moved."""

    name = "shuqiao.control.clocks"
    label = "clocks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let the time of a sample be moved; elsewhere it is the real one."""
        if settings.SAMPLE_DATA:
            from shuqiao.control.clocks.simulated import read_ahead

            clock.read_ahead_from(read_ahead)
