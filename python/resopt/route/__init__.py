"""Routing: which model answers, what it may cost, and whether the answer will do."""
