"""Answers kept and served: what may be stored, for whom, for how long."""
