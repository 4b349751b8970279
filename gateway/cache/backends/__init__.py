"""Plug-ins only: one file for each cache backend, exporting `BACKEND`."""
