"""Canaries: small programs that make one call in somebody's runtime, to see which way it takes."""
