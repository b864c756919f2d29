"""What can go wrong with the warehouse, in sentences for the person who reads them."""


class WarehouseError(Exception):
    """Something about the database files; the message says what to do."""


class SchemaMismatch(WarehouseError):
    """A frame does not have the columns, types or keys its table declares; nothing was written."""


class WarehouseLocked(WarehouseError):
    """Another process kept the database for longer than the waiting time allows."""


class WrongVersion(WarehouseError):
    """The file was made by a newer or an unreleased version of the tables."""
