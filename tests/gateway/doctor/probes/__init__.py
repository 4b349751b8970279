"""Tests of its probes, a file each."""
