"""Two assertions with better messages than a bare `assert`."""


def equal(got, wanted, what=""):
    """Fails with both values shown."""
    assert got == wanted, f"{what or 'value'}: got {got!r}, wanted {wanted!r}"


def contains(text, part):
    """Fails when `part` is not in `text`."""
    assert part in text, f"{part!r} is not in {text[:2000]!r}"
