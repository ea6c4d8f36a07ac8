"""Devices of this machine: found without torch, chosen by free memory, given to engines before they start."""
