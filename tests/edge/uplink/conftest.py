from tests.edge.delivery_fixtures import gateway, make_device

__all__ = ["gateway", "make_device"]
