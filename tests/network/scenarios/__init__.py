"""Golden scenarios of the doctor, by area; a module exports a tuple `SCENARIOS`."""
