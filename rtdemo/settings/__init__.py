"""Settings from flags, environment variables and `.env`, each declared once."""
