"""Limit: nothing goes out faster than it may. `window` counts, `gate` lets through in order of arrival."""
