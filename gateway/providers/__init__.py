"""Plug-ins only: one file for each provider, exporting `PROVIDER`. `gateway._discover` finds them.

A provider is data and pure functions (`gateway.model.provider.Provider`): hosts, where the key stands, endpoints, how
streams end, what its documented error codes mean. Facts carry their source and the date on which it was read.
"""
