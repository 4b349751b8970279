"""One fault per file.

A fault of a request is a coroutine function on an `Exchange` (or a function that makes one), for `Case.plan`. It calls
``exchange.receive()`` when it wants the body read, and returns when its answer is whole. A fault that takes another one
(`slow`, `with_headers`, `after_events`) makes a new one of it.

A fault of a connection, where HTTP is never reached, is a context manager that gives a port of 127.0.0.1.
"""
