"""Many calls at once: as wide as the provider allows and no wider, in one piece or later, at half the price."""
