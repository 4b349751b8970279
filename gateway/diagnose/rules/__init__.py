"""Plug-ins only: one file for each cause that evidence decides, exporting `RULE`. `gateway._discover` finds them."""
