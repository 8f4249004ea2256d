"""Django application of the audit log."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Registers the audit log under the label `audit`."""

    name = "shuqiao.control.audit"
    label = "audit"
    verbose_name = "Audit log"
