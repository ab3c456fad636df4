"""Where answers come from: one file per API shape, retries and transport beside them, and a simulated provider."""
