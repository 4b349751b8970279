"""What can be set, where it is read from, and how a mistake is reported.

Only the composition root and the command line import this; every other part is handed plain values.
"""

from gateway.settings.address import Address as Address
from gateway.settings.address import parse_address as parse_address
from gateway.settings.caching import Cache as Cache
from gateway.settings.load import Resolved as Resolved
from gateway.settings.load import load as load
from gateway.settings.load import resolve as resolve
from gateway.settings.network import Network as Network
from gateway.settings.network import ProviderEntry as ProviderEntry
from gateway.settings.pacing import LimitRule as LimitRule
from gateway.settings.pacing import Limits as Limits
from gateway.settings.pacing import Retry as Retry
from gateway.settings.problems import ConfigError as ConfigError
from gateway.settings.problems import Problem as Problem
from gateway.settings.template import render_default_toml as render_default_toml
from gateway.settings.tree import Listen as Listen
from gateway.settings.tree import Page as Page
from gateway.settings.tree import Record as Record
from gateway.settings.tree import Settings as Settings
