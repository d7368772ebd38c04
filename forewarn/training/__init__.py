"""From the lake to a bundle's bytes: the one place that knows the lake, the trainings and the edge's features."""
