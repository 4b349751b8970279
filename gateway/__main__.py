"""``python -m gateway`` is ``whygate``."""

from gateway.cli import main

main()
