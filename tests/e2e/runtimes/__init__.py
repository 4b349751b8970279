"""Real clients of many runtimes, each an app that knows nothing of the gateway, by `whygate run`."""
