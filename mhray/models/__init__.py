"""Networks with one classifier per head, and the Lightning module that trains them."""
