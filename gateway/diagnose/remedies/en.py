"""The English words for every cause."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.diagnose.remedies.en_account import ACCOUNT
from gateway.diagnose.remedies.en_between import BETWEEN
from gateway.diagnose.remedies.en_client import CLIENT
from gateway.diagnose.remedies.en_edge import EDGE
from gateway.diagnose.remedies.en_gateway import GATEWAY
from gateway.diagnose.remedies.en_limits import LIMITS
from gateway.diagnose.remedies.en_network import CONNECTION
from gateway.diagnose.remedies.en_request import REQUEST
from gateway.diagnose.remedies.en_service import SERVICE
from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

ENGLISH: Mapping[Cause, Remedy] = MappingProxyType(
    {**CONNECTION, **BETWEEN, **EDGE, **SERVICE, **LIMITS, **ACCOUNT, **REQUEST, **CLIENT, **GATEWAY}
)
