"""Names of batches and policies, which people type and see in paths, pages and partition keys."""

# Where Dagster takes a name for several, or for a range.
_SPLIT_AT = (",", "|", "...")


def check_name(name: str, what: str, example: str) -> None:
    """Refuse a new name that could not be told from two, or could not be shown.

    Args:
        name: The name.
        what: What is to have it: ``batch`` or ``policy``.
        example: A name that would do.

    Raises:
        ValueError: It is blank, or holds what Dagster splits keys at or what cannot be printed.
    """
    why = ""
    if not name.strip():
        why = "it is blank"
    elif found := next((sign for sign in _SPLIT_AT if sign in name), None):
        why = f"Dagster splits keys at {found}"
    # Of blanks only the plain one is printable: a name is one line.
    elif found := next((sign for sign in name if not sign.isprintable()), None):
        why = f"{found!r} is no letter that can be printed"
    if why:
        raise ValueError(f"{name[:100]!r} cannot be a {what}: {why}. Take a name like {example}.")
