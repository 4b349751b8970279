"""What others measure this gateway by: Prometheus metrics, OpenTelemetry, and a log of JSON lines.

All three are told of a call when it is over, by a thread of their own (`gateway.observe.observer`): the path pays for
one entry in a queue. None of them is told what was asked or answered, and none can stop or slow a call.
"""
