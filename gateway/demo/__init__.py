"""``whygate demo``: the product's main job on a machine with no key and no internet, in some ten seconds.

Theory of operation
===================
Three parts meet here, each as it would be for real::

    app  ----HTTPS_PROXY---->  whygate start  ----upstream---->  simulated provider
    a child process            a child process                   in this process, on loopback

The provider is strict: a few calls a second for each key, and now and then it is overloaded. The same app does the
same job twice, first straight at the provider, then through the gateway; nothing but its environment differs. What the
provider saw is counted in its ledger, what the app saw is told by the app, and what the gateway did is read from its
page API, so no part vouches for itself. At last the app makes mistakes, and the gateway says of each why it failed.

Everything lives in one temporary directory and ends with the demo, however it ends.
"""


def run_demo(*, keep: bool = False) -> int:
    """Run it and print what happens.

    Args:
        keep: Afterwards leave gateway and provider running until Ctrl-C, and print the link of the status page.

    Returns:
        The exit code: 0, or 128 + n when signal n ended it early.

    Raises:
        DemoError: Something could not be started.
    """
    from gateway.demo.play import play  # noqa: PLC0415  (the app of the demo is in this package and needs none of it)

    return play(keep=keep)
