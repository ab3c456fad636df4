"""Quality: what judges and users say of answers, by model, tier and mechanism; and what is held back when it falls."""
