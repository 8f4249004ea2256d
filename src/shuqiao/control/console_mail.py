"""Mail where no server is set: written to the output, with the addresses left out."""

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class EmailBackend(BaseEmailBackend):
    """Shows the subject and the body of each message; an address is a person's and reaches no log."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write the messages and return how many there were."""
        for message in email_messages:
            print(f"mail: {message.subject}\n{message.body}", flush=True)
        return len(email_messages)
