"""Case numbers, given out one by one within a year."""

from django.db import connection


def next_number(prefix: str, year: int) -> int:
    """Return the next number of a series; the row lock holds until the caller's transaction ends.

    A rolled-back transaction gives its number back, so the series has no gaps.
    """
    return next_numbers(prefix, year, 1)[0]


def next_numbers(prefix: str, year: int, count: int) -> range:
    """Return the next numbers of a series at once; otherwise like `next_number`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO organisations_numberseries (prefix, year, last) VALUES (%s, %s, %s)"
            " ON CONFLICT (prefix, year) DO UPDATE SET last = organisations_numberseries.last + excluded.last"
            " RETURNING last",
            [prefix, year, count],
        )
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError("an upsert gave no row back")
    return range(int(row[0]) - count + 1, int(row[0]) + 1)
