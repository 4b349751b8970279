"""A simulated provider on loopback, and the oracle of the tests.

Theory of operation
===================
One ASGI application shows the faces of OpenAI, Anthropic, Azure OpenAI and Gemini, and of those who speak
OpenAI's dialect beneath other prefixes. Official clients cannot tell it from the real thing: same shapes,
same headers, same refusals, same ways to break. A call passes five questions::

    route? -> credential? -> readable? -> asked to fail? -> within the limits? -> answer
    404       401            400          (data files)      429                  200

*Faces are plug-ins.* One file of ``faces/`` holds one family of routes. The path says whose client calls,
else the header that only one's client sends; the header ``x-simulate-provider`` decides where both leave it
open. The provider decides where the key stands, how an answer is signed, and in which envelope it refuses.

*Failures are data.* ``failures/<cause>.toml`` says what each provider answers, or how its connection
breaks, and where that is documented. An unmodified app asks for one by the model's name
(``model="simulate:quota.exhausted"``); a test may use the header ``x-simulate`` instead. Behind a
question mark come parameters: ``times`` (fail only the first calls with this key, model and body),
``after_events``, ``seconds``, ``behaviour``.

*A WebSocket is an upgrade and requests.* Each request in it is a call of its own: with limits, failures and
a row in the ledger. A failure that breaks an answer in the middle befalls the requests; any other befalls
the upgrade: it is refused as a call would be, broken, or never answered. An answer that ends without its
end closes the connection with 1011.

*Answers are a function of the prompt*, so two calls with one prompt differ only in identifiers and
timestamps. Every shape and speed can be set in :class:`SimulatorConfig`, and per call by an
``x-simulate-*`` header.

*Nothing is believed.* The :class:`Ledger` writes down what really arrived and what was really sent. A
test that claims "billed once" counts rows here and does not ask the gateway.

*Broken connections need a transport.* :func:`serve` runs the application on uvicorn's protocol, extended
by the ability to reset, close or write raw bytes. Without it (an in-memory ASGI transport) the same
behaviour raises :class:`ConnectionCut`.
"""

from gateway.simulate.app import Simulator, build
from gateway.simulate.config import SimulatorConfig
from gateway.simulate.failure import known_failures
from gateway.simulate.ledger import Ledger, LedgerRow
from gateway.simulate.line import ConnectionCut
from gateway.simulate.serve import ServerHandle, serve

__all__ = [
    "ConnectionCut",
    "Ledger",
    "LedgerRow",
    "ServerHandle",
    "Simulator",
    "SimulatorConfig",
    "build",
    "known_failures",
    "serve",
]
