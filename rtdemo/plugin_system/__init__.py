"""Find, load and run plugins. A plugin that fails does not affect the others."""
