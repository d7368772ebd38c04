"""One file a page: reads, shapes for the template, answers."""
