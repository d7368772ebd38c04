"""What the README's figures come from: both sides of each comparison in one run, kept as JSON."""
