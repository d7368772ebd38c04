"""The wire, versioned. Generated code stands beside its `.proto`; `make protos` writes it, `make check` compares."""
