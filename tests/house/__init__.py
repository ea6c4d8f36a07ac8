"""The house's rules, kept by a machine."""
