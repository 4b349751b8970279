"""Plug-ins only: what each route answers, one file for each route family, exporting ``FACES``.

``gateway.simulate.routes`` finds them.
"""
