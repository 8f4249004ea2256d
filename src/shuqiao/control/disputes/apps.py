"""Django's entry for this capability."""

from django.apps import AppConfig


class DisputesConfig(AppConfig):
    """Registers the models of `disputes` and says who may read its documents."""

    name = "shuqiao.control.disputes"
    label = "disputes"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let whoever may see a dispute read its documents."""
        from shuqiao.control.disputes.access import may_see
        from shuqiao.control.documents import access as documents

        documents.register("dispute", may_see)
