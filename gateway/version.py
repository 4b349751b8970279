"""Which whygate this is."""


def version() -> str:
    """Give the version that is installed; "0" from a bare source tree."""
    from importlib.metadata import PackageNotFoundError  # noqa: PLC0415 - only the page asks
    from importlib.metadata import version as installed  # noqa: PLC0415

    try:
        return installed("whygate")
    except PackageNotFoundError:
        return "0"
