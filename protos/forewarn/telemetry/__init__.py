"""What devices measure, on its way to the lake."""
