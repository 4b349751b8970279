"""The simulated provider of the demo: fast, strict, and sometimes overloaded."""

from gateway.simulate import Simulator, SimulatorConfig, build

PER_SECOND = 5
FAIL_EVERY = 9


def strict_provider() -> Simulator:
    """Give a provider that allows each key a few calls a second and answers one call in nine with "overloaded".

    No call meets that twice (``times=1``), so that the demo ends the same way each time.
    """
    return build(
        SimulatorConfig(
            requests_per_second=PER_SECOND,
            per_model=True,
            fail_every=FAIL_EVERY,
            fail_cause="service.overloaded?times=1",
            first_byte_seconds=0.15,
            event_interval_seconds=0.04,
        )
    )


def settings_toml(upstream: str) -> str:
    """Give the settings of the demo's gateway: both providers are the simulated one; its limits are found out."""
    return "\n".join(f'[[providers]]\nname = "{name}"\nupstream = "{upstream}"\n' for name in ("openai", "anthropic"))
