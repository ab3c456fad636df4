"""resopt: answers from memory, exact keys, honest accounting. The public names; heavy ones load on first use."""
