"""The nouns of whygate. Standard library only, no I/O, no decisions."""
