"""What the server accepts and sends, as documents for programs: OpenAPI and AsyncAPI."""
