"""The networks themselves; they need torch, so only training imports them."""
