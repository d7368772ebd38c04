"""The whole loop on one machine, with the same commands and processes a plant would run."""
