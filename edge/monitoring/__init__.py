"""What a device says of itself to the plant's monitoring and to the service manager."""
