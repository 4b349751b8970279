"""What to tell people about each cause: one mapping per language, merged in a file named after it."""
