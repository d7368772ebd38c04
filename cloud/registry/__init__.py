"""Signed bundles: publish, promote, roll back, block. What a device trusts is made here and checked there, by TUF."""

from cloud.registry.registry import Registry

__all__ = ["Registry"]
