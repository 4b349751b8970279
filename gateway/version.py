"""Which whygate this is."""


def version() -> str:
    """Give the version that is installed; "(not installed)" from a bare source tree."""
    from importlib import metadata  # noqa: PLC0415 - 20 ms that only two places pay

    try:
        return metadata.version("whygate")
    except metadata.PackageNotFoundError:
        return "(not installed)"
