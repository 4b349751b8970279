"""Tests of what others measure the gateway by."""
