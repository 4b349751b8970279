"""Identify: `Call -> Route`. Who is asked, by whom, for what, and roughly how much. No I/O, no clock."""
