"""The app's own list of trusted certificates cannot be read, or holds too little."""

from gateway.diagnose.rule import Layer, Rule, first, heard, hinted, only
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.CLIENT_CA_BUNDLE_MISCONFIGURED,
    match=first(
        hinted("curl 77 ", "curl error 77 "),
        heard(
            "tls ca certificate bundle|ca certificate bundle|ca bundle|cacert|ca file|cafile|ca certs|"
            "ca certificates|ssl cert file|requests ca bundle|node extra ca certs|curl ca bundle|"
            "certificate bundle|cacert pem|trust store|truststore|trustanchors|ca path|capath|extra certs|"
            "extra ca|certificate verify locations|verify locations|ca cert|pem",
            "not find|no such file|invalid path|does not exist|ignoring|error loading|failed to load|"
            "can not load|could not load|error setting|empty|no certs|bad|problem with the ssl ca cert|"
            "error reading|unable to load|must be non empty|not found|error adding trust anchors|load failed|"
            "cannot open|fopen|finds no",
        ),
        heard(
            "no ca certificates|no native certs|no native root|no certificates were loaded|no root certificates|"
            "no valid native|trustanchors parameter must be non empty|error setting certificate verify locations|"
            "error setting certificate file|no suitable tls ca|could not find a suitable tls ca|"
            "error adding trust anchors"
        ),
        only(
            lambda seen: (
                seen.words.has(
                    "load_verify_locations", "create_default_context", "ssl_context", "ssl cert file", "verify"
                )
                and seen.words.has("filenotfounderror", "file not found error")
            ),
            heard("no such file or directory"),
        ),
    ),
    layer=Layer.CLIENT,
    authors=None,
    outranks=("network.",),
)
