"""Case numbers, given out one by one within a year."""

from django.db import connection


def next_number(prefix: str, year: int) -> int:
    """Return the next number of a series; the row lock holds until the caller's transaction ends.

    A rolled-back transaction gives its number back, so the series has no gaps.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO organisations_numberseries (prefix, year, last) VALUES (%s, %s, 1)"
            " ON CONFLICT (prefix, year) DO UPDATE SET last = organisations_numberseries.last + 1"
            " RETURNING last",
            [prefix, year],
        )
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError("an upsert gave no row back")
    return int(row[0])
