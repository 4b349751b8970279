"""Cache: an answer to a static prompt is given again instead of bought again.

`rule` and `freshness` say which requests may be answered from the cache and which answers may be kept, `key` which
requests are equal, `single_flight` lets equal ones that are under way share what comes, `backends` hold answers (sealed
by `seal` where they leave the process), `shelf` is all of it for one gateway. `repeats` counts what no rule covers yet.
Nothing is shared between two credentials unless the operator's rule says so.
"""
