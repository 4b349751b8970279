"""Cache: an answer to a static prompt is given again instead of bought again.

`key` says which requests are equal, `freshness` which may be answered from the cache and which answers may be kept,
`backends` hold them. Nothing is ever shared between two credentials.
"""
