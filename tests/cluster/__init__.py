"""Sweeps on several machines, of which this one plays all."""
