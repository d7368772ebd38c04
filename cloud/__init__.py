"""What the devices talk to and the crews look at: gateway, lake, registry, rollout, alerts, pages."""
