"""What a failure model is: the contract between the devices that run it and the cluster that trains it.

Everything here except `models.networks` is light to import (numpy and msgspec), because every edge device does.
"""
