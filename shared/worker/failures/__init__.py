"""Whose fault a failed attempt is: facts in, a reason with its evidence and advice out (standard library only)."""
