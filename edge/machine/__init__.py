"""One machine, from sensor to outbox: the loop in its thread, and what it is handed."""
