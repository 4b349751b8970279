"""Tests of the listener and of what mitmproxy carries."""
