"""HTTP routes: no decision is taken here."""
