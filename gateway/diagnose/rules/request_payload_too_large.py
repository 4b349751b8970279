"""The body, a file or an image has too many bytes. Too many tokens are `request.context_length`."""

from gateway.diagnose.author import Kind
from gateway.diagnose.rule import WROTE_ANSWERS, Rule, first, in_status, named, only, said, status, unless
from gateway.model.cause import Cause

RULE = Rule(
    cause=Cause.REQUEST_PAYLOAD_TOO_LARGE,
    match=unless(
        said("header|cookie|headers|max tokens|max completion tokens|tokens is", "too large"),
        first(
            only(
                in_status(4, 500, 0),
                first(
                    named(
                        "request_too_large|payload_too_large|entity_too_large|file_too_large|entitytoolarge|"
                        "requesttoolarge|image_too_large|content_too_large"
                    ),
                    said(
                        "payload|entity|request body|body|file|image|images|upload|content size|content length|"
                        "request size|audio|attachment|attachments|document|media|request|文件|图片",
                        "too large|too big|maximum size|size limit|exceeds the maximum size|size exceeds|"
                        "larger than|exceeds the limit|maximum content size|max size|mb maximum|bytes limit|"
                        "maximum bytes|mb limit|过大|大小超",
                    ),
                ),
            ),
            status(413),
        ),
    ),
    authors=WROTE_ANSWERS | {Kind.EDGE},
    outranks=("request.invalid_parameter", "service.server_error", "edge.blocked"),
    reads_pages=True,
)
