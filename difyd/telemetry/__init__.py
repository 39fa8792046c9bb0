"""Log lines and metrics. Every floor may use it, it uses none of them."""
