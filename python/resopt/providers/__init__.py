"""Where answers come from: one file per API shape, retries and transport beside them, a simulated provider for tests."""
