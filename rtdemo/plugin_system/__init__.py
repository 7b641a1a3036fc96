"""Find, load and run plugins, and keep a failing one from harming the others."""
