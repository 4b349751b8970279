"""Where several gateways count together."""
