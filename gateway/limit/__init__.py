"""Limit: nothing goes out faster than it may.

    gate -> scope -> fair_queue, starting, meters (window, bucket) <- rule (configured), learn (stated by the provider)

An account's calls for one group of models share a `scope`. Every limit in it is a meter: an exact sliding `window`, or
a `bucket` that fills evenly and is kept in step with what the provider says is left. Whoever has to wait does so in one
queue that is fair between tenants; the longest wait of all meters counts. `learn` turns what answers state into meters,
`refusal` says what a 429 means for others, `levels` carries all of it over a restart.
"""
