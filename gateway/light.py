"""A quicker start: mitmproxy without its default list of addons.

Importing anything of mitmproxy runs ``mitmproxy/addons/__init__.py``, which imports all of its thirty-odd addons and
what they need (Flask, LDAP, pyparsing): about a third of the time until the gateway is ready. The few addons that are
used are imported by name. Called before the first import of mitmproxy; without the call everything works as well, and
with a UI of mitmproxy's (``start --ui``) it is not made: scripts may import any addon.
"""

import importlib.util
import sys
import types

_PACKAGE = "mitmproxy.addons"


def lighten() -> None:
    """Put an empty package in the place of mitmproxy's list of addons."""
    spec = None if _PACKAGE in sys.modules else importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        return
    package = types.ModuleType(_PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[_PACKAGE] = package
