"""Execute each step of the Dockerfile without a container engine: `python -m deploy.run_dockerfile`."""
