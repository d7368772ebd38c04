"""The pages the crew sees: server-rendered, phone first, live."""
