"""Benchmarks: ratios beside a peer in the same run, printed and never asserted. Not collected by pytest."""
