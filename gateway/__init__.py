"""whygate: the local diagnostic gateway for LLM APIs.

    app -> listener -> identify -> cache -> limit -> egress (retry) -> diagnose -> record -> show
           addons/     ----------------------- gateway/ ---------------------------------------

`path` is the whole way of a call on one screen. `model` holds the nouns; each stage is a package that imports nouns and
providers and no other stage; `attempts`, `reply` and `refusing` are the path's own hands. `app` and `compose` put
everything together, `cli` and `show` are the faces. mitmproxy and the server protocol live in `addons` and `app` alone.
"""
