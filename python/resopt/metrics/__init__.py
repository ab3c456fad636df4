"""What every request cost, took and would have cost without resopt: prices, the ledger and its report."""
