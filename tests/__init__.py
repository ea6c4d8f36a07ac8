"""Tests of IMTS, by what they need."""
