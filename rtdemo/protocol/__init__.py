"""Messages, clients and the bytes on the wire: data, without I/O."""
