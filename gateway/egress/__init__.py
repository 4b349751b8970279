"""Egress: the way to the provider. `send` acts, `retry` decides, `classify` names what went wrong, `timeline` times it."""
