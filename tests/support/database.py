"""A connection to the stack's database that survives the database's restarts."""

from typing import Any, List

import psycopg2
from stack import Postgres


class Database:
    """Each statement is a transaction of its own, as the daemons' role."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._connection: Any = None

    def sql(self, statement: str, *parameters: Any) -> List[tuple]:
        """Run it, again on a new connection when the old one was lost; rows, if there are any."""
        for is_last in (False, True):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._postgres.connect()
                with self._connection.cursor() as cursor:
                    cursor.execute(statement, parameters)
                    return cursor.fetchall() if cursor.description else []
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self._connection = None
                if is_last:
                    raise
        raise AssertionError("not reached")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
