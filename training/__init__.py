"""From what the fleet saw and what the crews found to a failure model: datasets, labels, training, honest evaluation."""
