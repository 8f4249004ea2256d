"""Django's entry for this capability."""

from django.apps import AppConfig


class UpkeepConfig(AppConfig):
    """Registers the models of `upkeep`, and that it follows the cases of the catalogue."""

    name = "shuqiao.control.upkeep"
    label = "upkeep"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Be told of every step that the regulation names an event."""
        from shuqiao.control.compiling import hooks
        from shuqiao.control.upkeep import changes

        hooks.register("upkeep", changes.follow_cases)
