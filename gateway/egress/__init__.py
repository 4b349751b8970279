"""Egress: the way to the provider. `send` acts, `retry` decides, `classify` names what failed, `timeline` times it."""
