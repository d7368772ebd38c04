"""What a device has learned of a machine, as bytes for the cloud, a replacement or a file, and when it goes."""
