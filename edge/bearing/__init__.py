"""A bearing's geometry, by its maker's number or as measured, and the frequencies that its damage shows."""
