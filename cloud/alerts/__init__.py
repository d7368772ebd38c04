"""The crew's alerts: taken from devices exactly once, then worked on by people until resolved."""
