"""The whole product on the wire: real apps with the official SDKs, the gateway as a process, a simulated provider."""
