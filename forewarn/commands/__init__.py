"""One file per command group; each is imported only when its command is used."""
