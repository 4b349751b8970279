"""What is the same for every provider that starts from `openai_compatible`: bodies in OpenAI's shapes."""

from typing import ClassVar

import orjson

from gateway.model.provider import Usage
from tests.gateway.providers.contract import STRANGERS, ProviderContract

CHUNK = b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n'
CHAT = (CHUNK % (b'{"role":"assistant","content":"Hi"}', b"null"), b"data: [DONE]\n\n")
FAILED = b'data: {"error":{"message":"no","type":"server_error","code":null}}\n\n'


def error(code: object = None, kind: str | None = None, message: str = "") -> bytes:
    """Give OpenAI's envelope."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


class CompatibleContract(ProviderContract):
    streams: ClassVar = {"chat.completions": CHAT, "completions": CHAT}
    finish: ClassVar = {"chat.completions": CHUNK % (b"{}", b'"stop"')}
    failures: ClassVar = {"chat.completions": FAILED, "completions": b'data: {"object":"error","message":"no"}\n\n'}
    usages: ClassVar[tuple[tuple[bytes, Usage | None], ...]] = (
        (b'{"usage":{"prompt_tokens":8,"completion_tokens":2}}', Usage(8, 2)),
        (b'{"choices":[],"usage":null}', None),
    )
    strangers = (*STRANGERS, b'{"data":[],"object":"list"}')

    def _envelope(self, code: str, kind: str) -> bytes:
        return error(code, kind or None)
