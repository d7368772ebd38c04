"""Remaining life of machines that ran to failure: fits, honest evaluation, adjustment and card."""
