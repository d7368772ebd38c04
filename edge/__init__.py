"""The agent on the device: from a waveform to a decision, and from there safely to the cloud."""
