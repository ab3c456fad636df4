"""Which model answers: a score, tiers cut by a target, cascades on the answer itself."""
