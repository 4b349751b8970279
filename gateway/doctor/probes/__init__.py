"""The probes: a file each, named like its probe, that exports one `PROBE`. None knows another; all know `measured`."""
