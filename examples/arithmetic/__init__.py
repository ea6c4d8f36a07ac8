"""Sums, differences, weekdays and unit conversions in English and Chinese that a tiny model can learn."""
