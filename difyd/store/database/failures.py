"""What drivers say when a transaction fails, and whether another attempt makes sense."""

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError, SQLAlchemyError

from difyd.errors import InternalError

_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6
_POSTGRESQL = frozenset(("40001", "40P01"))
"""serialization_failure, deadlock_detected"""
_MYSQL = frozenset((1205, 1213))
"""ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK"""
_OF_STATEMENTS = (IntegrityError, DataError, ProgrammingError, NotSupportedError)
"""What a working database says of a statement."""


class DatabaseFailed(InternalError):
    """The database refused a statement or cannot be reached. The text is the driver's, in one line."""

    def __init__(self, message: str, statement: str = "", *, out_of_order: bool = True) -> None:
        super().__init__(message)
        self.statement = statement
        """With placeholders, for the log; "" when there was none."""
        self.out_of_order = out_of_order
        """Is it the database that cannot work, and not this statement that is wrong?"""


def describe(error: SQLAlchemyError) -> DatabaseFailed:
    """Without the parameters, which may be secret or long."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    statement = " ".join((getattr(error, "statement", None) or "").split())
    return DatabaseFailed(f"database: {lines[0]}", statement, out_of_order=not isinstance(error, _OF_STATEMENTS))


def worth_repeating(error: SQLAlchemyError) -> bool:
    """Did the database break the transaction off for the sake of another one?"""
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)
    if getattr(error.orig, "pgcode", None) in _POSTGRESQL:
        return True
    arguments: tuple[object, ...] = getattr(error.orig, "args", ())
    return bool(arguments) and arguments[0] in _MYSQL
