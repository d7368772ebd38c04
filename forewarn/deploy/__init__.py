"""What a device is installed from: the wheelhouse, and beside this file its install script and its unit."""
