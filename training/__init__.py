"""From what the fleet saw and what the crews found to a model: labels, datasets, training, honest evaluation."""
