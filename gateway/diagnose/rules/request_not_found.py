"""An id is unknown: of a file, a thread, a response, a job. Models and paths have causes of their own."""

from gateway.diagnose.rule import Basis, Rule, first, in_status, only, said, shown, status, unless
from gateway.model.cause import Cause


def _thing(code: str) -> bool:
    """``fine_tune_not_found``, ``previous_response_not_found``; a model's or a path's is another cause."""
    return code.endswith("_not_found") and not code.startswith(
        ("model", "deployment", "route", "page", "endpoint", "url")
    )


RULE = Rule(
    cause=Cause.REQUEST_NOT_FOUND,
    match=first(
        only(
            in_status(4),
            first(
                shown(
                    lambda seen: any(_thing(code) for code in seen.read.codes),
                    "a code that ends in not_found",
                    Basis.NAMED,
                ),
                unless(
                    said("tool call|tool output|function call|tool result|tool use|tool calls"),
                    said(
                        "thread|file|run|response|assistant|vector store|batch|message|conversation|fine tune|"
                        "fine tuning|container|item|upload|job|step|session|prompt|voice|image|resource|object|"
                        "entity|cached content|cachedcontent|call id|with id|knowledge base|dataset|generation|"
                        "task|operation|entity",
                        "not found|no such|could not find|does not exist|do not exist|was not found|can not find|"
                        "found with id|not exist|expired|不存在",
                    ),
                ),
            ),
        ),
        only(lambda seen: seen.enveloped, status(404, 410)),
    ),
    general=1,
)
