"""Attacks on real sweeps; ``make chaos`` runs them, ``make test`` does not."""
