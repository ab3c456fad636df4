"""Rollout: who gets an optimization, how it is compared with going without, and when it is taken back."""
