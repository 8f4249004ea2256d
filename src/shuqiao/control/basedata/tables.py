"""The base table of each list, its history, its staging, and the two functions through which it is read and filled.

Made when a catalogue entry is published. Identity items have no column here: they live in the vault. The SQL is in
`sql/0002_lists.sql`: the owner of the schemas runs it, and control may only ask for it.
"""

from django.db import connection


def create_list(resource_id: str) -> None:
    """Create tables and functions of a resource from its row in `exchange.resource`.

    A second call makes the functions anew and leaves the tables. Raises `DataError` for a resource that is not
    there, and for an item whose field name or type can have no column.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT exchange.create_list(%s)", [resource_id])
