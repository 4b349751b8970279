"""Shows people what the record keeps: a page, its live feed, and lines in a terminal."""
